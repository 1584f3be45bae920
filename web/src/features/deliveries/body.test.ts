import { expect, test } from 'vitest';
import { decodeBase64, hexRow, hexRowCount, prettyJson } from './body';

test('pretty JSON changes white space alone', () => {
  const text = '{"t":1764547200.123456789012,"u":"\\u0000\\"{,}","e":{},"l":[1,[]] }';
  expect(prettyJson(text)).toBe(
    [
      '{',
      '  "t": 1764547200.123456789012,',
      '  "u": "\\u0000\\"{,}",',
      '  "e": {},',
      '  "l": [',
      '    1,',
      '    []',
      '  ]',
      '}',
    ].join('\n'),
  );
});

test('what is no JSON has no pretty form', () => {
  expect(prettyJson('{"cut off')).toBeNull();
  expect(prettyJson('')).toBeNull();
});

test('bytes are shown in rows with their place', () => {
  const bytes = decodeBase64('eyJhIjoi//4ifQ==');
  expect(hexRowCount(bytes, 8)).toBe(2);
  expect(hexRow(bytes, 0, 8)).toEqual({
    offset: '000000',
    hex: '7b 22 61 22 3a 22 ff fe',
    ascii: '{"a":"..',
  });
  expect(hexRow(bytes, 1, 8)).toEqual({ offset: '000008', hex: '22 7d', ascii: '"}' });
});
