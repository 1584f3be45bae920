import { expect, test } from 'vitest';
import type { Receipt } from '../../api/generated';
import { rowsByTable, totalRows } from './receipt';
import { confirms, parseRetentionSearch, targetOf } from './search';

test('the address names a session or an agent', () => {
  expect(targetOf(parseRetentionSearch({ kind: 'agent', id: 'A 1' }))).toEqual({
    kind: 'agent',
    id: 'A 1',
  });
  expect(targetOf(parseRetentionSearch({ kind: 'room', id: 'A1' }))).toBeNull();
  expect(targetOf(parseRetentionSearch({ kind: 'agent' }))).toBeNull();
});

test('only the ID itself confirms', () => {
  expect(confirms(' A1 ', 'A1')).toBe(true);
  expect(confirms('a1', 'A1')).toBe(false);
  expect(confirms('', '')).toBe(false);
});

test('a receipt is read by table', () => {
  const receipt = { rows: { sessions: 1, messages: 12, note: 'x' } } as unknown as Receipt;
  expect(rowsByTable(receipt)).toEqual([
    ['messages', 12],
    ['sessions', 1],
  ]);
  expect(totalRows(receipt)).toBe(13);
});
