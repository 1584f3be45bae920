import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import earlyScript from '../../public/early.js?raw';
import { fetchSessions } from '../features/conversations/api';
import { fetchSession } from './browser-session';
import { isAskedEarly } from './early';

const MARK = 'verbatim_signed_in';

beforeEach(() => {
  document.cookie = `${MARK}=read; Path=/`;
});

afterEach(() => {
  document.cookie = `${MARK}=; Path=/; Max-Age=0`;
  delete window.earlyAnswers;
  history.replaceState(null, '', '/');
});

const SESSION = { scopes: ['read'], agents: null };
const LIST = { data: [], has_more: false };

function mockFetch(session: unknown, status = 200) {
  const asked: string[] = [];
  vi.stubGlobal('fetch', (url: string) => {
    asked.push(url);
    const isSession = url === '/v1/browser-session';
    const answer = isSession ? Response.json(session, { status }) : Response.json(LIST);
    return Promise.resolve(answer);
  });
  return asked;
}

function runEarly(path: string) {
  history.replaceState(null, '', path);
  // The script as the browser runs it.
  new Function(earlyScript)();
}

test('the page takes what was asked for early, once', async () => {
  const asked = mockFetch(SESSION);
  runEarly('/conversations');
  await vi.waitFor(() => {
    expect(asked).toHaveLength(2);
  });
  expect(await fetchSession()).toEqual(SESSION);
  expect(await fetchSessions({}, null)).toEqual(LIST);
  expect(asked).toHaveLength(2);
  await fetchSessions({}, null);
  expect(asked).toHaveLength(3);
  expect(asked[2]).toBe(asked[1]);
});

test('session and list are asked for at once', () => {
  const asked = mockFetch(SESSION);
  runEarly('/');
  expect(asked).toHaveLength(2);
  expect(isAskedEarly('/v1/sessions')).toBe(true);
});

test.each([
  ['the key reads no text', '/conversations', '1'],
  ['there are filters', '/conversations?status=live', 'read'],
  ['another view is opened', '/overview', 'read'],
])('the list is not asked for early where %s', (_, path, mark) => {
  document.cookie = `${MARK}=${mark}; Path=/`;
  const asked = mockFetch(SESSION);
  runEarly(path);
  expect(asked).toEqual(['/v1/browser-session']);
  expect(isAskedEarly('/v1/sessions')).toBe(false);
});

test('what failed early is asked for again', async () => {
  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no network')));
  runEarly('/overview');
  mockFetch(SESSION);
  expect(await fetchSession()).toEqual(SESSION);
});

test('a browser that is signed out asks for nothing', async () => {
  document.cookie = `${MARK}=; Path=/; Max-Age=0`;
  const asked = mockFetch(null, 401);
  runEarly('/conversations');
  expect(await fetchSession()).toBeNull();
  expect(asked).toEqual([]);
});

test('a session that has ended is asked for once', async () => {
  const asked = mockFetch(null, 401);
  expect(await fetchSession()).toBeNull();
  expect(await fetchSession()).toBeNull();
  expect(asked).toHaveLength(1);
});
