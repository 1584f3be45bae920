import { expect, test } from 'vitest';
import {
  choiceParam,
  flagParam,
  listParam,
  numberParam,
  parseSearch,
  stringifySearch,
  textParam,
} from './search-params';

test('a repeated name is a list, and digits stay text', () => {
  expect(parseSearch('?agent=a&agent=b&q=12&q2={"x":1}')).toEqual({
    agent: ['a', 'b'],
    q: '12',
    q2: '{"x":1}',
  });
});

test('what is written is read again', () => {
  const search = { agent: ['a', 'b c'], q: 'ä&=?#', silent: true };
  expect(parseSearch(stringifySearch(search))).toEqual({ ...search, silent: 'true' });
});

test('empty values do not appear in the address', () => {
  expect(stringifySearch({ a: '', b: undefined, c: null, d: [], e: false })).toBe('');
});

test('values of the wrong kind are ignored', () => {
  const search = { status: 'dead', min: '-3', silent: 'no', q: '', agent: [] };
  expect(choiceParam(search, 'status', ['live', 'idle'])).toBeUndefined();
  expect(numberParam(search, 'min')).toBeUndefined();
  expect(flagParam(search, 'silent')).toBeUndefined();
  expect(textParam(search, 'q')).toBeUndefined();
  expect(listParam(search, 'agent')).toBeUndefined();
  expect(listParam({ agent: 'a' }, 'agent')).toEqual(['a']);
});
