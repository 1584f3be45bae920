// deploy/caddy/Caddyfile in a real Caddy, in front of the real service.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { at, read } from './support/files.mjs';
import { eventually, freePort, run, start } from './support/programs.mjs';
import { KEY, chatPush, sign } from './support/world.mjs';

const CADDYFILE = at('deploy', 'caddy', 'Caddyfile');
/** Default of --max-body. */
const LIMIT = 1024 * 1024;

async function startCaddy(program, upstream) {
  const folder = mkdtempSync(path.join(tmpdir(), 'verbatim-caddy-'));
  const [http, https, health] = [await freePort(), await freePort(), await freePort()];
  const environment = {
    ...process.env,
    HOME: folder,
    XDG_CONFIG_HOME: folder,
    XDG_DATA_HOME: folder,
    CADDY_HTTP_PORT: http,
    CADDY_HTTPS_PORT: https,
    CADDY_HEALTH_PORT: health,
    DOMAIN: 'localhost',
    VERBATIM: upstream,
  };
  const caddy = await start(program, ['run', '--config', CADDYFILE, '--adapter', 'caddyfile'], {
    port: https,
    log: path.join(folder, 'caddy.log'),
    env: environment,
  });
  const authority = path.join(folder, 'caddy', 'pki', 'authorities', 'local', 'root.crt');
  const ca = await eventually('the authority of Caddy', () => readFileSync(authority, 'utf8'));
  const stop = async () => {
    await caddy.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  const made = { http, https, health, ca, stop };
  // The certificate is ready after the port. Caddy answers this path.
  await eventually('TLS', async () => (await send(made, '/metrics')).status === 404 || undefined);
  return made;
}

/** Sends a request over HTTPS and HTTP/1.1. */
function send(caddy, target, { method = 'GET', headers = {}, body, ...more } = {}) {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', servername: 'localhost', port: caddy.https, path: target, method, ca: caddy.ca,
        headers: { Host: 'localhost', ...headers }, ...more },
      async (answer) => {
        let text = '';
        for await (const piece of answer) text += piece;
        resolve({ status: answer.statusCode, headers: answer.headers, text });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

const deliver = (caddy, body, more = {}) =>
  send(caddy, '/webhook', {
    method: 'POST',
    body,
    ...more,
    headers: { 'X-bitHuman-Signature': sign(body), 'Content-Length': Buffer.byteLength(body), ...more.headers },
  });

/** Sends a request over HTTP/2, and returns the status and the stream. */
async function sendHttp2(session, headers, body) {
  const stream = session.request(headers);
  stream.end(body);
  const [answer] = await once(stream, 'response');
  return { status: answer[':status'], stream };
}

async function textOf(stream) {
  let text = '';
  stream.setEncoding('utf8');
  for await (const piece of stream) text += piece;
  return text;
}

/** Tests a Caddy: the installed one, or the version of deploy/caddy/Dockerfile. */
export function caddyTests(world, program, { isPinned }) {
  describe(`Caddy, ${isPinned ? 'pinned version' : 'installed version'}`, () => {
    let caddy;
    before(async () => {
      caddy = await startCaddy(program, `127.0.0.1:${world().port}`);
    });
    after(() => caddy?.stop());

    const http2 = async (work) => {
      const session = connectHttp2(`https://localhost:${caddy.https}`, { ca: caddy.ca });
      await once(session, 'connect');
      try {
        return await work(session);
      } finally {
        session.destroy();
      }
    };

    it('has a valid configuration with and without a domain', async () => {
      for (const [domain, listens] of [
        [undefined, ':8000'],
        // The default of docker-compose.yml.
        ['http://:8000', ':8000'],
        ['v.example.com', ':443'],
      ]) {
        const { DOMAIN: _, ...env } = process.env;
        if (domain !== undefined) env.DOMAIN = domain;
        const { stdout } = await run(program, ['adapt', '--config', CADDYFILE, '--validate'], { env });
        const servers = Object.values(JSON.parse(stdout).apps.http.servers);
        assert.deepEqual(servers.flatMap((each) => each.listen).filter((each) => each.startsWith(':')), [listens]);
      }
    });

    it('serves TLS, and redirects HTTP to it', async () => {
      const { status, text, headers } = await send(caddy, '/healthz');
      assert.equal(status, 200, text);
      assert.equal(headers['strict-transport-security'], 'max-age=31536000');
      const plain = await fetch(`http://127.0.0.1:${caddy.http}/healthz`, {
        redirect: 'manual',
        headers: { Host: 'localhost' },
      });
      assert.equal(plain.status, 308);
      assert.match(plain.headers.get('location'), /^https:/);
      await assert.rejects(send({ ...caddy, ca: undefined }, '/healthz'), 'the certificate is checked');
    });

    it('serves many HTTP/2 requests over one connection', () =>
      http2(async (session) => {
        assert.equal(session.alpnProtocol, 'h2');
        const headers = { ':path': '/v1/agents', 'x-api-key': KEY };
        const answers = await Promise.all(
          Array.from({ length: 20 }, async () => {
            const { status, stream } = await sendHttp2(session, headers);
            return [status, JSON.parse(await textOf(stream)).data.length > 0];
          }),
        );
        assert.deepEqual(new Set(answers.map(String)), new Set(['200,true']));
      }));

    it('forwards each event at once', () =>
      http2(async (session) => {
        const { status, stream } = await sendHttp2(session, { ':path': '/v1/stream', 'x-api-key': KEY });
        assert.equal(status, 200);
        stream.setEncoding('utf8');
        // Events arrive while the answer is still open.
        for (const words of ['as it comes, one', 'as it comes, two']) {
          const event = new Promise((resolve) => {
            let text = '';
            stream.on('data', (piece) => {
              text += piece;
              if (text.includes(words)) resolve(text);
            });
          });
          const body = chatPush(words);
          assert.equal((await deliver(caddy, body)).status, 200);
          assert.match(await event, /event: message/);
          assert.ok(!stream.readableEnded);
        }
      }));

    it('forwards a body at the limit, and a larger one for Verbatim to reject', async () => {
      const padded = (size) => {
        // From one delivery: times of two can differ in length.
        const empty = chatPush('');
        return empty.replace('"message":""', `"message":"${'x'.repeat(size - empty.length)}"`);
      };
      const full = padded(LIMIT);
      assert.equal(full.length, LIMIT);
      const accepted = await deliver(caddy, full);
      assert.equal(accepted.status, 200, accepted.text);
      const larger = `${full} `;
      const refused = await deliver(caddy, larger);
      assert.equal(refused.status, 413);
      assert.equal(JSON.parse(refused.text).code, 'payload_too_large');
      await http2(async (session) => {
        const body = padded(LIMIT);
        const headers = { ':method': 'POST', ':path': '/webhook', 'x-bithuman-signature': sign(body) };
        assert.equal((await sendHttp2(session, headers, body)).status, 200);
      });
    });

    it('sends the address of the client, and replaces its X-Forwarded-For', async () => {
      const answer = await deliver(caddy, chatPush('who'), {
        localAddress: '127.0.0.7',
        headers: { 'X-bitHuman-Signature': 'sha256=00', 'X-Forwarded-For': '203.0.113.9' },
      });
      assert.equal(answer.status, 401);
      const id = answer.headers['x-request-id'];
      const line = await eventually('the line of the log', () =>
        world().service.log().split('\n').find((each) => each.includes(id) && each.includes('"client"')),
      );
      assert.equal(JSON.parse(line).client, '127.0.0.7');
    });

    it('does not serve internal paths', async () => {
      for (const target of ['/metrics', '/readyz', '/metrics/', '//metrics']) {
        const { status, text } = await send(caddy, target, { headers: { 'X-API-Key': KEY } });
        assert.equal(status, 404, target);
        assert.ok(!text.includes('verbatim_'), target);
      }
      assert.equal((await fetch(`http://127.0.0.1:${caddy.health}/`)).status, 204);
    });

    it('serves the page, and signs a browser in', async () => {
      const page = await send(caddy, '/');
      assert.equal(page.status, 200);
      assert.match(page.headers['content-type'], /^text\/html/);
      const body = JSON.stringify({ key: KEY });
      const signedIn = await send(caddy, '/v1/browser-session', {
        method: 'POST',
        body,
        headers: { 'Content-Type': 'application/json', 'Sec-Fetch-Site': 'same-origin' },
      });
      assert.ok(signedIn.status < 300, signedIn.text);
      assert.match(String(signedIn.headers['set-cookie']), /; ?Secure/);
    });

    if (!isPinned) return;

    it('is the version of the image', async () => {
      const [, version] = /^FROM caddy:([\d.]+)/m.exec(read('deploy', 'caddy', 'Dockerfile'));
      const { stdout } = await run(program, ['version']);
      assert.ok(stdout.startsWith(`v${version} `), stdout);
    });

    // Caddy 2.6 loses the body, and answers 502.
    it('holds a delivery while the service restarts', async () => {
      const port = await freePort();
      const alone = await startCaddy(program, `127.0.0.1:${port}`);
      const pieces = [];
      const late = createServer((received, reply) => {
        received.on('data', (piece) => pieces.push(piece));
        received.on('end', () => reply.end('{"status":"ok"}'));
      });
      try {
        const answer = deliver(alone, chatPush('hold the line'));
        // The port is still closed while Caddy answers another request.
        await fetch(`http://127.0.0.1:${alone.health}/`);
        late.listen(port, '127.0.0.1');
        assert.equal((await answer).status, 200);
        assert.match(Buffer.concat(pieces).toString(), /hold the line/);
      } finally {
        late.close();
        late.closeAllConnections();
        await alone.stop();
      }
    });
  });
}
