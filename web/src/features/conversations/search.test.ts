import { expect, test } from 'vitest';
import { parseSearch, stringifySearch } from '../../app/search-params';
import { filterCount, matchesQuery, parseConversationSearch, sessionsQuery } from './search';

const clock = {
  zone: 'Europe/Berlin',
  today: '2026-11-30',
  now: Date.parse('2026-11-30T12:00:00Z'),
};

test('filters survive the address', () => {
  const search = parseConversationSearch({
    q: 'opening hours',
    agent: ['a', 'b'],
    status: 'live',
    flag: ['no_join', 'nonsense'],
    silent: 'true',
    min: '3',
    period: 'yesterday',
  });
  expect(search).toEqual({
    q: 'opening hours',
    agent: ['a', 'b'],
    status: 'live',
    flag: ['no_join'],
    silent: true,
    min: 3,
    period: 'yesterday',
  });
  const read = parseConversationSearch(parseSearch(stringifySearch({ ...search })));
  expect(read).toEqual(search);
});

test('what makes no sense is left out', () => {
  expect(
    parseConversationSearch({ status: 'dead', min: 'x', from: 'soon', flag: 'bad', agent: '' }),
  ).toEqual({});
});

test('a period becomes bounds in the zone of the page', () => {
  expect(sessionsQuery({ period: 'yesterday', agent: ['a'] }, clock)).toMatchObject({
    agent_id: ['a'],
    started_after: '2026-11-29',
    started_before: '2026-11-30',
    tz: 'Europe/Berlin',
  });
  expect(sessionsQuery({}, clock).tz).toBeUndefined();
  expect(matchesQuery({ q: 'x', from: '2026-11-01', to: '2026-11-02' }, clock)).toMatchObject({
    q: 'x',
    after: '2026-11-01',
    before: '2026-11-03',
  });
});

test('text, time and order are not counted as filters', () => {
  expect(filterCount({ q: 'x', period: 'today', sort: 'duration', min: 3, silent: true })).toBe(2);
});
