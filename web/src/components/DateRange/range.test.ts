import { expect, test } from 'vitest';
import { addDays, bounds, isDate } from './range';

const now = Date.parse('2026-11-30T12:00:00Z'); // a Monday

test('periods are half-open ranges of local dates', () => {
  expect(bounds({ period: 'today' }, '2026-11-30', now)).toEqual({ from: '2026-11-30' });
  expect(bounds({ period: 'yesterday' }, '2026-11-30', now)).toEqual({
    from: '2026-11-29',
    to: '2026-11-30',
  });
  expect(bounds({ period: 'last_week' }, '2026-11-30', now)).toEqual({
    from: '2026-11-23',
    to: '2026-11-30',
  });
  expect(bounds({ period: 'last_month' }, '2026-01-15', now)).toEqual({
    from: '2025-12-01',
    to: '2026-01-01',
  });
  expect(bounds({ period: 'last_24h' }, '2026-11-30', now)).toEqual({
    from: '2026-11-29T12:00:00.000Z',
  });
  expect(bounds({ period: 'last_7d' }, '2026-11-30', now)).toEqual({
    from: '2026-11-23T12:00:00.000Z',
  });
});

test('the last day of an own range is in it', () => {
  expect(bounds({ from: '2026-02-01', to: '2026-02-28' }, '2026-11-30', now)).toEqual({
    from: '2026-02-01',
    to: '2026-03-01',
  });
  expect(bounds({ from: '2026-02-01T10:00:00Z', to: '2026-02-01T11:00:00Z' }, '', now)).toEqual({
    from: '2026-02-01T10:00:00Z',
    to: '2026-02-01T11:00:00Z',
  });
  expect(bounds({ from: 'soon' }, '2026-11-30', now)).toEqual({});
});

test('days are added over the ends of months and years', () => {
  expect(addDays('2026-12-31', 1)).toBe('2027-01-01');
  expect(addDays('2028-03-01', -1)).toBe('2028-02-29');
  expect(isDate('2026-13-01')).toBe(false);
});
