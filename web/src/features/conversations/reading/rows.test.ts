import { expect, test } from 'vitest';
import type { Message } from '../../../api/generated';
import { messageAt, messageOf, visitAt } from '../../../test/messages';
import { buildRows, isSameRow, sideOf, type Row } from './rows';

const shape = (rows: Row[]) =>
  rows.map((row) => (row.kind === 'message' ? `${row.key}${row.turnStart ? '*' : ''}` : row.key));
const dateOf = (instant: string) => instant.slice(0, 10);

test('days, visits and pauses stand between messages, and turns begin where the speaker changes', () => {
  const rows = buildRows({
    messages: [
      messageOf('a', '2026-11-30T10:00:05Z'),
      messageOf('b', '2026-11-30T10:00:06Z'),
      messageOf('c', '2026-11-30T10:01:00Z', 'assistant'),
      messageOf('d', '2026-11-30T11:00:00Z', 'assistant'),
      messageOf('e', '2026-12-01T11:00:00Z', 'assistant'),
    ],
    visits: [
      visitAt(1, '2026-11-30T10:00:00Z'),
      visitAt(2, '2026-11-30T11:00:00Z'),
      visitAt(3, '2026-12-01T11:00:00Z'),
    ],
    fromStart: true,
    dateOf,
  });
  expect(shape(rows)).toEqual([
    'day:a',
    'visit:1',
    'a*',
    'b',
    'gap:c',
    'c*',
    'visit:2',
    'd*',
    'day:e',
    'visit:3',
    'e*',
  ]);
});

test('rows keep their keys when earlier ones are loaded', () => {
  const messages = [
    messageOf('a', '2026-11-30T10:00:05Z'),
    messageOf('b', '2026-11-30T10:00:06Z'),
    messageOf('c', '2026-11-30T10:20:00Z'),
  ];
  const visits = [visitAt(1, '2026-11-30T10:00:00Z'), visitAt(2, '2026-11-30T10:20:00Z')];
  const part = buildRows({ messages: messages.slice(1), visits, fromStart: false, dateOf });
  const whole = buildRows({ messages, visits, fromStart: true, dateOf });
  expect(part.map((row) => row.key)).toEqual(['b', 'visit:2', 'c']);
  expect(whole.map((row) => row.key).slice(-3)).toEqual(['b', 'visit:2', 'c']);
});

test('sides follow the role, or what the service says', () => {
  expect(sideOf(messageOf('a', '', 'User'))).toBe('user');
  expect(sideOf(messageOf('a', '', 'AVATAR'))).toBe('assistant');
  expect(sideOf(messageOf('a', '', 'system'))).toBe('other');
  expect(sideOf({ ...messageOf('a', '', 'host'), side: 'assistant' })).toBe('assistant');
});

test('rows look the same after a page was added before them', () => {
  const [one, two] = [messageAt(1), messageAt(2)];
  const input = { visits: [], fromStart: false, dateOf: () => '2026-11-30' };
  const last = (messages: Message[]) => buildRows({ ...input, messages }).at(-1);
  const alone = last([two]);
  const after = last([messageAt(0, { role: 'assistant' }), two]);
  const sameRole = last([one, two]);
  if (alone === undefined || after === undefined || sameRole === undefined)
    throw new Error('no row');
  expect(isSameRow(alone, after)).toBe(true);
  expect(isSameRow(alone, sameRole)).toBe(false);
});
