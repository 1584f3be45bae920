import { expect, test } from 'vitest';
import type { Ready } from '../../api/generated';
import type { Health } from '../../api/setup';
import { healthItems } from './items';

const READY: Ready = {
  status: 'ready',
  deliveries: {},
  inbox: { writable: true, deliveries: 0, bytes: 0, oldest_age_seconds: null },
  postgres: { reachable: true, writable: true, schema: 'current' },
  search: { lag_entries: 0, lag_seconds: 0 },
  figures: { lag_entries: 0, lag_seconds: 0 },
};

const statuses = (ready: Ready, health?: Health) =>
  healthItems(ready, health).map(({ name, status }) => `${name} ${status}`);

test('a service that is well has nothing to look at', () => {
  expect(statuses(READY)).toEqual([
    'service ok',
    'inbox ok',
    'database ok',
    'search ok',
    'figures ok',
  ]);
});

test('what is not known is left out', () => {
  expect(statuses({ ...READY, search: null, figures: null })).toHaveLength(3);
});

test('a database that is away is bad, one that takes nothing is worth a look', () => {
  const postgres = { ...READY.postgres, writable: false };
  expect(statuses({ ...READY, postgres })).toContain('database warn');
  expect(statuses({ ...READY, postgres: { ...postgres, reachable: false } })).toContain(
    'database fail',
  );
});

test('a lag of more than a minute is worth a look', () => {
  const late = { lag_entries: 9, lag_seconds: 61 };
  const inbox = { ...READY.inbox, deliveries: 2, oldest_age_seconds: 61 };
  const found = statuses({ ...READY, inbox, search: late, figures: late });
  expect(found).toEqual(expect.arrayContaining(['inbox warn', 'search warn', 'figures warn']));
});

test('a standby that is not read is worth a look', () => {
  const replica = { used: true, state: 'used', lag_seconds: 0.01 };
  expect(statuses({ ...READY, replica })).toContain('standby ok');
  const lagging = { used: false, state: 'lagging', lag_seconds: 61 };
  expect(statuses({ ...READY, replica: lagging })).toContain('standby warn');
});

test('a disk that fills is told before it is full', () => {
  const health = (free_bytes: number) =>
    ({
      inbox: { quota_bytes: 1 },
      disk: [{ holds: 'data', free_bytes, total_bytes: 100 }],
    }) as Health;
  expect(statuses(READY, health(50))).toContain('disk ok');
  expect(statuses(READY, health(9))).toContain('disk warn');
  expect(statuses(READY, health(2))).toContain('disk fail');
});
