import { expect, test } from 'vitest';
import type { Message, Visit } from '../../../api/generated';
import { messageAt } from '../../../test-support';
import { buildRows, isSameRow, sideOf, type Row } from './rows';

const message = (id: string, timestamp: string, role = 'user'): Message => ({
  id,
  session_id: 's',
  agent_id: 'a',
  role,
  message: id,
  timestamp,
  received_at: timestamp,
});
const visit = (number: number, started_at: string): Visit => ({
  visit: number,
  opened_by: number === 1 ? 'room.join' : 'chat.push',
  started_at,
  last_activity_at: started_at,
  duration_seconds: 0,
  message_count: 1,
  user_message_count: 1,
  assistant_message_count: 0,
});
const shape = (rows: Row[]) =>
  rows.map((row) => (row.kind === 'message' ? `${row.key}${row.turnStart ? '*' : ''}` : row.key));
const dateOf = (instant: string) => instant.slice(0, 10);

test('days, visits and pauses stand between messages, and turns begin where the speaker changes', () => {
  const rows = buildRows({
    messages: [
      message('a', '2026-11-30T10:00:05Z'),
      message('b', '2026-11-30T10:00:06Z'),
      message('c', '2026-11-30T10:01:00Z', 'assistant'),
      message('d', '2026-11-30T11:00:00Z', 'assistant'),
      message('e', '2026-12-01T11:00:00Z', 'assistant'),
    ],
    visits: [
      visit(1, '2026-11-30T10:00:00Z'),
      visit(2, '2026-11-30T11:00:00Z'),
      visit(3, '2026-12-01T11:00:00Z'),
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
    message('a', '2026-11-30T10:00:05Z'),
    message('b', '2026-11-30T10:00:06Z'),
    message('c', '2026-11-30T10:20:00Z'),
  ];
  const visits = [visit(1, '2026-11-30T10:00:00Z'), visit(2, '2026-11-30T10:20:00Z')];
  const part = buildRows({ messages: messages.slice(1), visits, fromStart: false, dateOf });
  const whole = buildRows({ messages, visits, fromStart: true, dateOf });
  expect(part.map((row) => row.key)).toEqual(['b', 'visit:2', 'c']);
  expect(whole.map((row) => row.key).slice(-3)).toEqual(['b', 'visit:2', 'c']);
});

test('sides follow the role, or what the service says', () => {
  expect(sideOf(message('a', '', 'User'))).toBe('user');
  expect(sideOf(message('a', '', 'AVATAR'))).toBe('assistant');
  expect(sideOf(message('a', '', 'system'))).toBe('other');
  expect(sideOf({ ...message('a', '', 'host'), side: 'assistant' })).toBe('assistant');
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
