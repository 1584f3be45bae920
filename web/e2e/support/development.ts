import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

const WEB = resolve(import.meta.dirname, '../..');
const START_MAX_MS = 30_000;

/** Vite's development server in front of a service. */
export interface Development {
  url: string;
  close: () => Promise<void>;
}

/** Starts `npm run dev` against a service, with a key that it adds to each request, or without. */
export async function startDevelopment(service: string, key?: string): Promise<Development> {
  const child = spawn(
    'node',
    ['node_modules/vite/bin/vite.js', '--port', '0', '--host', '127.0.0.1'],
    {
      cwd: WEB,
      env: {
        ...process.env,
        NO_COLOR: '1',
        FORCE_COLOR: undefined,
        VERBATIM_URL: service,
        ...(key !== undefined && { VERBATIM_API_KEY: key }),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const close = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  };
  const url = await new Promise<string>((done, fail) => {
    const timer = setTimeout(() => {
      fail(new Error('the development server did not start in time'));
    }, START_MAX_MS);
    createInterface(child.stdout).on('line', (line) => {
      const found = /Local: +(http:\/\/\S+?)\/?$/.exec(line)?.[1];
      if (found === undefined) return;
      clearTimeout(timer);
      done(found);
    });
    child.once('exit', (code) => {
      clearTimeout(timer);
      fail(new Error(`the development server ended with ${String(code)}`));
    });
  });
  return { url, close };
}
