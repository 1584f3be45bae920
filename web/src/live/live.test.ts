import { expect, test } from 'vitest';
import { parseEvent } from './events';
import { isFree } from './leader';

test('events are parsed by their name', () => {
  expect(parseEvent('message', '{"id":"m"}')).toEqual({
    type: 'message',
    message: { id: 'm' },
  });
  expect(parseEvent('gap', '')).toEqual({ type: 'gap' });
  expect(parseEvent('message', 'no JSON')).toBeNull();
  expect(parseEvent('message', '3')).toBeNull();
  expect(parseEvent('weather', '{"weather":{}}')).toBeNull();
});

test('a lease is free for its owner, and for all once it is over', () => {
  const lease = { owner: 'a', until: 1_000 };
  expect(isFree(null, 'b', 0)).toBe(true);
  expect(isFree(lease, 'a', 0)).toBe(true);
  expect(isFree(lease, 'b', 999)).toBe(false);
  expect(isFree(lease, 'b', 1_001)).toBe(true);
});
