import { expect, test } from 'vitest';
import { parseSearch, stringifySearch } from '../../app/search-params';
import {
  deliveryFilters,
  hiddenFilterCount,
  mayHoldQuarantined,
  parseDeliveriesSearch,
  toggleOutcome,
} from './search';

const clock = { zone: 'Europe/Berlin', today: '2026-11-30', now: Date.parse('2026-11-30T12:00Z') };

test('filters survive the way through the address', () => {
  const search = parseDeliveriesSearch(
    parseSearch('?outcome=test&outcome=stored&agent_id=007&session_id=1e5&period=today'),
  );
  expect(search).toEqual({
    outcome: ['stored', 'test'],
    agent_id: ['007'],
    session_id: '1e5',
    period: 'today',
  });
  expect(parseDeliveriesSearch(parseSearch(stringifySearch({ ...search })))).toEqual(search);
});

test('what makes no sense in the address is left out', () => {
  const search = parseSearch('?outcome=lost&period=soon&from=yesterday&other=1');
  expect(parseDeliveriesSearch(search)).toEqual({});
});

test('filters become parameters of the API, with a zone where there are dates', () => {
  expect(deliveryFilters({ outcome: ['quarantined'] }, clock)).toEqual({
    outcome: ['quarantined'],
  });
  expect(deliveryFilters({ from: '2026-11-01', to: '2026-11-02', job: 'x' }, clock)).toEqual({
    received_after: '2026-11-01',
    received_before: '2026-11-03',
    tz: 'Europe/Berlin',
  });
});

test('an outcome is added and taken out again', () => {
  const one = toggleOutcome({ source: 'lobby' }, 'test');
  expect(one).toEqual({ source: 'lobby', outcome: ['test'] });
  expect(toggleOutcome(one, 'stored').outcome).toEqual(['stored', 'test']);
  expect(toggleOutcome(one, 'test')).toEqual({ source: 'lobby' });
});

test('filters behind the button are counted', () => {
  expect(hiddenFilterCount({ outcome: ['test'], source: 'a', agent_id: ['b'] })).toBe(2);
});

test('retrying makes sense where something can be in quarantine', () => {
  expect(mayHoldQuarantined({})).toBe(true);
  expect(mayHoldQuarantined({ outcome: ['stored'] })).toBe(false);
});
