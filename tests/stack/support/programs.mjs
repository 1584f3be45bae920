// Programs of tests: started on free ports, and stopped after the test.

import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { promisify } from 'node:util';

/** Longest wait for a start. */
const START_TIMEOUT_MS = 30_000;

const execute = promisify(execFile);

/** Runs a program to its end, and returns what it wrote. */
export const run = (program, args, options = {}) =>
  execute(program, args, { maxBuffer: 64 * 1024 * 1024, ...options });

/** Returns true if a program is installed. */
export const has = (name) =>
  spawnSync('sh', ['-c', 'command -v "$1"', 'sh', name]).status === 0;

/** Returns a free port. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until `probe` returns something other than undefined, and returns that. */
export async function eventually(what, probe) {
  const deadline = Date.now() + START_TIMEOUT_MS;
  let last;
  for (;;) {
    try {
      const found = await probe();
      if (found !== undefined) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`timed out: ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const listens = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true) || socket.destroy());
    socket.once('error', () => resolve(undefined));
  });

/** Starts a program that listens on a port; its output goes to a file. */
export async function start(program, args, { port, log, ...options }) {
  const output = createWriteStream(log);
  await once(output, 'open');
  const child = spawn(program, args, { stdio: ['ignore', output, output], ...options });
  let ended;
  child.once('error', (error) => (ended = error.message));
  child.once('exit', (status, signal) => (ended = `status ${status}, signal ${signal}`));
  await eventually(`${program} on port ${port}`, () => {
    if (ended !== undefined) {
      throw new Error(`${program} ended: ${ended}\n${readFileSync(log, 'utf8').slice(-4000)}`);
    }
    return listens(port);
  });
  return {
    log: () => readFileSync(log, 'utf8'),
    stop: async () => {
      if (ended !== undefined) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
      output.close();
    },
  };
}
