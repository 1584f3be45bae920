// A real service and PostgreSQL with two weeks of simulated conversations, credentials of
// deploy/compose/prepare.sh, and a real Prometheus that scrapes the service.

import { createHmac, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import pg from 'pg';
import { stringify } from 'yaml';

import { at, readYaml } from './files.mjs';
import { eventually, freePort, run, start } from './programs.mjs';

export const SECRET = 'the-secret-of-the-stack-tests';
export const KEY = 'the-key-of-the-stack-tests-of-40-letters';

/** Seconds between two scrapes; recordings and alerts are evaluated as often. */
export const SCRAPE_INTERVAL = 1;

// Set by scripts/stack-tests.
const binary = process.env.VERBATIM;
const databaseUrl = process.env.TEST_DATABASE_URL;

export const sign = (body) => `sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`;

/** An agent with rows in every panel, and a name that must be quoted. */
export const AGENT = "AGENT'S-1";

const event = (event_type, secondsAgo, data) => {
  const timestamp = Date.now() / 1000 - secondsAgo;
  return JSON.stringify({ event_type, agent_id: AGENT, timestamp, data: { timestamp, ...data } });
};

/** Delivery of a message in a new session. */
export const chatPush = (message, more = {}) =>
  event('chat.push', 0, { session_id: randomUUID(), role: 'user', message, ...more });

/** A conversation with a join, questions and answers, and one without messages. */
function conversations() {
  const [session_id, silent] = [randomUUID(), randomUUID()];
  const room = { room_name: 'lobby', participant_count: 2 };
  const turn = (secondsAgo, role, message) =>
    event('chat.push', secondsAgo, { session_id, role, message });
  return [
    event('room.join', 7200, { session_id, ...room }),
    turn(7190, 'assistant', 'How can I help?'),
    turn(7170, 'user', 'When do you close?'),
    turn(7164, 'assistant', 'At six.'),
    turn(7160, 'user', 'Thank you.'),
    event('room.join', 3600, { session_id: silent, ...room }),
  ];
}

export class World {
  #stops = [];

  static async start() {
    if (!binary || !databaseUrl) throw new Error('run this with scripts/stack-tests');
    const world = new World();
    world.folder = mkdtempSync(path.join(tmpdir(), 'verbatim-stack-'));
    try {
      await world.#startService();
      await world.#fill();
      await world.#prepare();
      await world.#startPrometheus();
    } catch (error) {
      await world.stop();
      throw error;
    }
    return world;
  }

  async #startService() {
    this.port = await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    this.environment = {
      ...process.env,
      DATABASE_URL: databaseUrl,
      PATH: `${path.dirname(binary)}:${process.env.PATH}`,
    };
    this.service = await start(binary, ['serve'], {
      port: this.port,
      log: path.join(this.folder, 'verbatim.log'),
      env: {
        ...this.environment,
        VERBATIM_API_KEY: KEY,
        VERBATIM_DATA_DIR: path.join(this.folder, 'data'),
        VERBATIM_LISTEN: `127.0.0.1:${this.port}`,
        VERBATIM_LOG_FORMAT: 'json',
        VERBATIM_TRUSTED_PROXIES: '127.0.0.1',
        VERBATIM_WEBHOOK_SECRET: SECRET,
      },
    });
    this.#stops.push(this.service.stop);
    await eventually('the service is ready', async () => (await this.get('/readyz')).ok || undefined);
  }

  /** Sends deliveries of every kind that dashboards show. */
  async #fill() {
    await run(binary, [
      'simulate',
      ...['--url', `${this.url}/webhook`, '--since', '14d', '--sessions', '420', '--seed', '7'],
    ], { env: { ...this.environment, VERBATIM_WEBHOOK_SECRET: SECRET } });
    for (const each of conversations()) await this.deliver(each);
    await this.misfit();
    await eventually('no lag', async () => {
      const ready = await (await this.get('/readyz')).json();
      const { inbox, figures, search } = ready;
      const behind = inbox.deliveries + (figures?.lag_entries ?? 1) + (search?.lag_entries ?? 1);
      return behind === 0 || undefined;
    });
  }

  /** Sends a join, a duplicate, an unreadable delivery and one with wrong credentials. */
  async misfit() {
    const join = event('room.join', 0, { session_id: randomUUID() });
    for (const each of [join, join, chatPush('hello'), chatPush('hello', { role: 7 })]) {
      await this.deliver(each);
    }
    await this.deliver(chatPush('wrong'), { 'X-bitHuman-Signature': 'sha256=00' });
  }

  async #prepare() {
    mkdirSync(path.join(this.folder, 'credentials'));
    this.keyFile = path.join(this.folder, 'credentials', 'key');
    this.passwordFile = path.join(this.folder, 'credentials', 'password');
    this.prepared = [];
    for (let time = 0; time < 2; time += 1) {
      const { stdout } = await this.runPrepare();
      this.prepared.push({ stdout, key: readFileSync(this.keyFile, 'utf8') });
    }
    const url = new URL(databaseUrl);
    this.reader = {
      host: url.searchParams.get('host'),
      database: url.pathname.slice(1),
      user: 'grafana',
      password: readFileSync(this.passwordFile, 'utf8'),
    };
  }

  runPrepare() {
    return run('bash', [at('deploy', 'compose', 'prepare.sh')], {
      env: {
        ...this.environment,
        GRAFANA_PASSWORD_FILE: this.passwordFile,
        PROMETHEUS_KEY_FILE: this.keyFile,
      },
    });
  }

  /** Starts Prometheus with deploy/prometheus/prometheus.yml, local addresses and short intervals. */
  async #startPrometheus() {
    const port = await freePort();
    const config = readYaml('deploy', 'prometheus', 'prometheus.yml');
    Object.assign(config.global, {
      scrape_interval: `${SCRAPE_INTERVAL}s`,
      scrape_timeout: `${SCRAPE_INTERVAL}s`,
      evaluation_interval: `${SCRAPE_INTERVAL}s`,
    });
    config.rule_files = config.rule_files.map((glob) => at('deploy', 'prometheus', glob));
    for (const job of config.scrape_configs) {
      const [{ targets }] = job.static_configs;
      targets.splice(0, targets.length, `127.0.0.1:${job.job_name === 'verbatim' ? this.port : port}`);
      if (job.authorization) job.authorization.credentials_file = this.keyFile;
    }
    const file = path.join(this.folder, 'prometheus.yml');
    writeFileSync(file, stringify(config));
    const prometheus = await start('prometheus', [
      `--config.file=${file}`,
      `--storage.tsdb.path=${path.join(this.folder, 'prometheus')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ], { port, log: path.join(this.folder, 'prometheus.log') });
    this.#stops.push(prometheus.stop);
    this.prometheus = `http://127.0.0.1:${port}`;
  }

  get(target, headers = {}) {
    return fetch(`${this.url}${target}`, { headers: { 'X-API-Key': KEY, ...headers } });
  }

  deliver(body, headers = {}) {
    return fetch(`${this.url}/webhook`, {
      method: 'POST',
      body,
      headers: { 'X-bitHuman-Signature': sign(body), ...headers },
    });
  }

  /** Requests `target` of Prometheus' API. */
  async queryPrometheus(target, parameters = {}) {
    const url = `${this.prometheus}/api/v1/${target}?${new URLSearchParams(parameters)}`;
    const answer = await (await fetch(url)).json();
    if (answer.status !== 'success') throw new Error(`${answer.error}: ${parameters.query}`);
    return answer.data;
  }

  async connectAsReader() {
    const client = new pg.Client(this.reader);
    await client.connect();
    return client;
  }

  async stop() {
    for (const stop of this.#stops.reverse()) await stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
