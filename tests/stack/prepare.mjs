// deploy/compose/prepare.sh: credentials of Prometheus and Grafana.

import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { describe, it } from 'node:test';

import { KEY } from './support/world.mjs';

export function prepareTests(world) {
  describe('prepare.sh', () => {
    it('makes credentials once', () => {
      const [first, second] = world().prepared;
      assert.match(first.stdout, /A key for Prometheus was made.*A reader for Grafana was made/s);
      assert.match(second.stdout, /The key of Prometheus is there.*The reader of Grafana is there/s);
      assert.equal(second.key, first.key);
    });

    it('gives Prometheus a key for metrics only', async () => {
      const headers = { 'X-API-Key': world().prepared[0].key.trim() };
      assert.equal((await world().get('/metrics', headers)).status, 200);
      assert.equal((await world().get('/v1/agents', headers)).status, 403);
    });

    it('gives Grafana a reader without access to texts', async () => {
      const reader = await world().connectAsReader();
      try {
        await reader.query('SELECT count(*) FROM analytics_v1.sessions');
        for (const table of ['analytics_v1.message_texts', 'public.messages', 'public.deliveries']) {
          await assert.rejects(reader.query(`SELECT count(*) FROM ${table}`), /permission denied/);
        }
      } finally {
        await reader.end();
      }
    });

    it('replaces a key that was revoked', async () => {
      const before = readFileSync(world().keyFile, 'utf8');
      const { data } = await (await world().get('/v1/keys')).json();
      const { id } = data.find((each) => each.name === 'prometheus');
      const revoked = await fetch(`${world().url}/v1/keys/${id}`, {
        method: 'DELETE',
        headers: { 'X-API-Key': KEY },
      });
      assert.ok(revoked.ok);
      const { stdout } = await world().runPrepare();
      assert.match(stdout, /A key for Prometheus was made.*The reader of Grafana is there/s);
      const key = readFileSync(world().keyFile, 'utf8');
      assert.notEqual(key, before);
      assert.equal((await world().get('/metrics', { 'X-API-Key': key.trim() })).status, 200);
    });

    it('replaces a password that was lost', async () => {
      const before = readFileSync(world().passwordFile, 'utf8');
      rmSync(world().passwordFile);
      const { stdout } = await world().runPrepare();
      assert.match(stdout, /The key of Prometheus is there.*A reader for Grafana was made/s);
      const after = readFileSync(world().passwordFile, 'utf8');
      assert.notEqual(after, before);
      world().reader.password = after;
    });
  });
}
