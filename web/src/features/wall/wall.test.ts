import { expect, test } from 'vitest';
import { parseWallHash, wallUrl } from './link';
import { currentSpan, wallTick } from './ticks';

test('a link carries key and zone in its fragment', () => {
  const link = { key: 'vb_a+b/c=', zone: 'Europe/Berlin' };
  const url = wallUrl('https://example.com', link);
  expect(url.startsWith('https://example.com/wall#key=')).toBe(true);
  expect(parseWallHash(new URL(url).hash)).toEqual(link);
});

test('a fragment without a key is no link, and a zone that does not exist is left out', () => {
  expect(parseWallHash('')).toBeNull();
  expect(parseWallHash('#key=')).toBeNull();
  expect(parseWallHash('#key=a&tz=Mars/Olympus')).toEqual({ key: 'a', zone: null });
});

test('the current column is the last one that has begun, and not every column has a label', () => {
  const span = (start: string) => ({ start, end: start, local: start, complete: true });
  const spans = ['2026-11-30T00:00:00Z', '2026-11-30T01:00:00Z', '2026-11-30T06:00:00Z'].map(span);
  expect(currentSpan(spans, Date.parse('2026-11-30T05:00:00Z'))).toBe(1);
  expect(currentSpan(spans, 0)).toBe(-1);
  const locale = { language: 'en', zone: 'UTC' };
  expect(spans.map((one, index) => wallTick(one, 'hour', index, locale) !== '')).toEqual([
    true,
    false,
    true,
  ]);
});
