import { expect, test } from 'vitest';
import { localPath, tokenFromHash } from './link';

test('the token is in the fragment', () => {
  expect(tokenFromHash('#token=abc')).toBe('abc');
  expect(tokenFromHash('')).toBeNull();
});

test.each([
  ['/keys?x=1', '/keys?x=1'],
  ['https://example.com/', '/'],
  ['//example.com/', '/'],
  ['/\\example.com', '/'],
  ['javascript:alert(1)', '/'],
  ['/a/../../b', '/b'],
  [undefined, '/'],
])('the path after %s is %s', (next, path) => {
  expect(localPath(next)).toBe(path);
});
