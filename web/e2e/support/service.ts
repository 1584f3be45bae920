import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, createWriteStream, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { expect } from '@playwright/test';
import { Api } from './api';

const ROOT = resolve(import.meta.dirname, '../../..');
const run = promisify(execFile);

/** The built program: VERBATIM_BIN, or the debug build of this checkout. */
const PROGRAM = resolve(
  ROOT,
  process.env['VERBATIM_BIN'] ??
    join(process.env['CARGO_TARGET_DIR'] ?? 'target', 'debug/verbatim'),
);
/** A first start creates a database cluster. */
const START_MAX_MS = 60_000;
const STOP_MAX_MS = 20_000;

interface Options {
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
}

/** `verbatim serve` with a data folder, a port and a private PostgreSQL of its own. */
export class Service {
  private process: ChildProcess | null = null;
  private listen = '127.0.0.1:0';
  private frozen: (() => void) | null = null;
  /** Text that the last start printed. */
  banner = '';
  /** Key with every scope, which the first start makes. */
  key = '';
  /** Secret of the source `default`, which the first start makes. */
  secret = '';

  private constructor(
    /** Temporary folder; the data folder is in it. */
    private readonly folder: string,
    private readonly options: Options,
  ) {}

  static async start(options: Options = {}): Promise<Service> {
    if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: run cargo build`);
    const folder = mkdtempSync('/tmp/verbatim-page-');
    // Under root, PostgreSQL runs as another account, which has to pass through.
    chmodSync(folder, 0o711);
    const service = new Service(folder, options);
    await service.serve();
    return service;
  }

  /** Address of the page and of the API. */
  get url(): string {
    return `http://${this.listen}`;
  }

  /** The API with every scope. */
  get api(): Api {
    return new Api(this.url, this.key, this.secret);
  }

  private environment(): NodeJS.ProcessEnv {
    const own = Object.entries(process.env).filter(
      ([name]) =>
        !name.startsWith('VERBATIM_') && !name.startsWith('DATABASE_URL') && name !== 'DISPLAY',
    );
    return {
      ...Object.fromEntries(own),
      ...this.options.env,
    };
  }

  private get dataDir(): string {
    return join(this.folder, 'data');
  }

  private async serve(): Promise<void> {
    const args = ['serve', '--listen', this.listen, '--data-dir', this.dataDir];
    const child = spawn(PROGRAM, [...args, ...(this.options.args ?? [])], {
      env: this.environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    child.stderr.pipe(createWriteStream(join(this.folder, 'log'), { flags: 'a' }));
    const lines: string[] = [];
    const reader = createInterface(child.stdout);
    const ready = new Promise<void>((done, fail) => {
      const timer = setTimeout(() => {
        fail(new Error('the service did not start in time'));
      }, START_MAX_MS);
      reader.on('line', (line) => {
        lines.push(line);
        // The last line of the banner.
        if (line.includes('/v1/sessions/first-session/messages')) {
          clearTimeout(timer);
          done();
        }
      });
      child.once('exit', (code) => {
        clearTimeout(timer);
        fail(new Error(`the service ended with ${String(code)}`));
      });
    });
    await ready.catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${lines.join('\n')}\n${await this.log()}`);
    });
    this.banner = lines.join('\n');
    this.key = await this.kept('api-key');
    this.secret = await this.kept('webhook-secret');
    this.listen = /webhook +http:\/\/(\S+)\/webhook/.exec(this.banner)?.[1] ?? this.listen;
  }

  private async kept(name: string): Promise<string> {
    return (await readFile(join(this.dataDir, name), 'utf8')).trim();
  }

  private log(): Promise<string> {
    return readFile(join(this.folder, 'log'), 'utf8').catch(() => '');
  }

  /** Stops the service in order; it can be started again at the same address. */
  async stop(): Promise<void> {
    this.frozen?.();
    const child = this.process;
    this.process = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MAX_MS);
    await ended;
    clearTimeout(timer);
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.serve();
  }

  /** Restarts the service while it has no database: it answers, and prints nothing yet. */
  async restartWithoutDatabase(): Promise<void> {
    await this.stop();
    const started = this.serve();
    started.catch(() => undefined);
    const answers = () => fetch(`${this.url}/healthz`).then(({ ok }) => ok);
    await expect.poll(() => answers().catch(() => false), { timeout: START_MAX_MS }).toBe(true);
  }

  /** Starts the service again after `stop`. */
  async resume(): Promise<void> {
    await this.serve();
  }

  /** Stops the service for good and removes its files. */
  async close(): Promise<void> {
    await this.stop();
    if (process.env['KEEP'] === undefined) rmSync(this.folder, { recursive: true, force: true });
  }

  /** Runs a command of the program and returns what it prints. */
  async run(...args: readonly string[]): Promise<string> {
    const { stdout } = await run(PROGRAM, args, { env: this.environment() });
    return stdout;
  }

  /** Makes a one-time link, as a person does. */
  async openLink(): Promise<string> {
    const printed = await this.run(
      'open',
      '--no-browser',
      '--data-dir',
      this.dataDir,
      '--listen',
      this.listen,
    );
    return printed.trim();
  }

  /** Plays conversations. */
  async simulate(...args: readonly string[]): Promise<void> {
    await this.run('simulate', '--url', `${this.url}/webhook`, '--secret', this.secret, ...args);
  }

  /** Runs a statement in the private database: what only the passing of time would bring about. */
  async sql(statement: string): Promise<void> {
    await run(await this.psql(), [...this.place, '-c', statement]);
  }

  private async psql(): Promise<string> {
    const { stdout } = await run(join(ROOT, 'scripts/postgres-bindir'), []);
    return join(stdout.trim(), 'psql');
  }

  private get place(): string[] {
    const socket = join(this.dataDir, 'postgres/socket');
    const options = ['--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1'];
    return [...options, '--host', socket, '--username=verbatim', '--dbname=verbatim'];
  }

  private get cluster(): string {
    return join(this.dataDir, 'postgres/cluster');
  }

  /** The server of the private database, and the processes that it has started. */
  private async databaseProcesses(): Promise<number[]> {
    const file = await readFile(join(this.cluster, 'postmaster.pid'), 'utf8');
    const postmaster = Number(file.split('\n')[0]);
    const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=']);
    const children = stdout
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
      .filter(([, parent]) => parent === postmaster)
      .map(([pid = 0]) => pid);
    return [postmaster, ...children];
  }

  /**
   * Kills the database, and keeps it from being started: a file that it needs is away. Returns how
   * to bring that back; the service then starts it by itself.
   */
  async killDatabase(): Promise<() => void> {
    const file = join(this.cluster, 'global/pg_control');
    const all = await this.databaseProcesses();
    renameSync(file, `${file}.away`);
    signal(all, 'SIGKILL');
    return () => {
      renameSync(`${file}.away`, file);
    };
  }

  /** Holds the database still: it is there, and answers nothing. Returns how to let it go on. */
  async freezeDatabase(): Promise<() => void> {
    const all = await this.databaseProcesses();
    signal(all, 'SIGSTOP');
    const goOn = () => {
      this.frozen = null;
      signal(all, 'SIGCONT');
    };
    this.frozen = goOn;
    return goOn;
  }
}

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended by itself.
    }
  }
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGTERM');
});
