import { expect, test } from 'vitest';
import { ApiError } from './error';
import { outageOf, OutageWatch } from './outage';

const away = new ApiError(503, 'unavailable', 'The database does not answer.');
const gone = new ApiError(0, 'network', 'Failed to fetch');
const wrong = new ApiError(400, 'invalid_parameter', 'No such parameter.');

test('an outage is told from a wrong request', () => {
  expect(outageOf(away)).toBe('database');
  expect(outageOf(gone)).toBe('service');
  expect(outageOf(new ApiError(502, 'unknown', ''))).toBe('service');
  expect(outageOf(new ApiError(500, 'internal', ''))).toBeNull();
  expect(outageOf(wrong)).toBeNull();
});

test('it lasts until every read that failed has succeeded', () => {
  const watch = new OutageWatch();
  watch.failed('a', away);
  watch.failed('b', gone);
  expect(watch.get()?.kind).toBe('service');
  watch.succeeded('b');
  expect(watch.get()?.kind).toBe('database');
  watch.succeeded('other');
  expect(watch.get()).not.toBeNull();
  watch.failed('a', wrong);
  expect(watch.get()).toBeNull();
});
