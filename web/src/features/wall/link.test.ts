import { expect, test } from 'vitest';
import { parseWallHash, wallUrl } from './link';

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
