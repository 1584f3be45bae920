import { expect, test } from 'vitest';
import type { ListedSession } from '../api';
import { applySession, firstPageOnly, firstUserLine, uniqueSessions } from './pages';

const session = (id: string, more: Partial<ListedSession> = {}): ListedSession => ({
  id,
  session_id: id,
  agent_id: 'a',
  source: 'default',
  status: 'live',
  started_at: '2026-11-30T12:00:00Z',
  last_activity_at: '2026-11-30T12:00:00Z',
  duration_seconds: 0,
  message_count: 1,
  user_message_count: 1,
  assistant_message_count: 0,
  ...more,
});
const FIRST = { id: 'm', message: 'Hi', timestamp: '2026-11-30T12:00:00Z' };
const page = (...ids: string[]) => ({ data: ids.map((id) => session(id)), has_more: true });
const data = { pages: [page('a', 'b'), page('b', 'c')], pageParams: [null, 'x'] };

test('a row in two pages is shown once', () => {
  expect(uniqueSessions(data.pages).map((one) => one.id)).toEqual(['a', 'b', 'c']);
});

test('a change keeps the place and the first line', () => {
  const pages = {
    pages: [{ data: [session('a', { first_user_message: FIRST })], has_more: false }],
    pageParams: [null],
  };
  const changed = applySession(pages, session('a', { message_count: 7 }));
  expect(changed.pages[0]?.data[0]).toMatchObject({
    message_count: 7,
    first_user_message: FIRST,
  });
});

test('bringing the list up to date begins with one page', () => {
  expect(firstPageOnly(data).pages).toHaveLength(1);
  expect(firstPageOnly(data).pageParams).toEqual([null]);
});

test('the first line is that of the user', () => {
  expect(firstUserLine(session('a', { first_user_message: null }))).toBeNull();
  expect(firstUserLine(session('a'))).toBeNull();
});
