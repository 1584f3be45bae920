import { describe, expect, test } from 'vitest';
import { duration } from './duration';
import { bytes, count, percent } from './number';
import { regional } from './use-format';
import { clockTime, exactTime, isZone, localDate, relativeTime, shortDateTime } from './time';

const berlin = { language: 'en-GB', zone: 'Europe/Berlin' };

describe('times', () => {
  test('are shown in the zone of the page', () => {
    expect(clockTime('2026-11-30T23:30:05Z', berlin)).toBe('00:30:05');
    expect(localDate('2026-11-30T23:30:05Z', 'Europe/Berlin')).toBe('2026-12-01');
    expect(localDate('2026-11-30T23:30:05Z', 'UTC')).toBe('2026-11-30');
  });

  test('name the zone and the offset where they are exact', () => {
    const text = exactTime('2026-07-01T10:00:00.123456Z', berlin);
    expect(text).toContain('12:00:00.123');
    expect(text).toContain('GMT+02:00');
    expect(text).toContain('(Europe/Berlin)');
  });

  test('leave the date out for today only', () => {
    const now = '2026-11-30T20:00:00Z';
    expect(shortDateTime('2026-11-30T10:00:00Z', berlin, now)).toBe('11:00');
    expect(shortDateTime('2026-11-29T10:00:00Z', berlin, now)).toBe('29 Nov, 11:00');
    expect(shortDateTime('2025-11-29T10:00:00Z', berlin, now)).toBe('29 Nov 2025, 11:00');
  });

  test('have an age in the largest unit that fits', () => {
    const now = Date.parse('2026-11-30T20:00:00Z');
    expect(relativeTime('2026-11-30T19:59:48Z', 'en', now)).toBe('12 seconds ago');
    expect(relativeTime('2026-11-30T18:00:00Z', 'en', now)).toBe('2 hours ago');
  });

  test('accept zones that exist', () => {
    expect(isZone('Asia/Kathmandu')).toBe(true);
    expect(isZone('Mars/Olympus')).toBe(false);
    expect(isZone('')).toBe(false);
  });
});

describe('durations', () => {
  test.each([
    [0, '0 s'],
    [0.25, '250 ms'],
    [3.21, '3.2 s'],
    [59.6, '1 min'],
    [200, '3 min 20 s'],
    [3_900, '1 h 5 min'],
    [90_000, '1 d 1 h'],
  ])('%d seconds are %s', (seconds, text) => {
    expect(duration(seconds, 'en')).toBe(text);
  });
});

describe('numbers', () => {
  test('follow the language', () => {
    expect(count(1234567, 'en')).toBe('1,234,567');
    expect(count(1234567, 'de')).toBe('1.234.567');
    expect(percent(0.256, 'en')).toBe('25.6%');
    expect(bytes(1_536_000, 'en')).toBe('1.5 MB');
    expect(bytes(12, 'en')).toBe('12 B');
  });
});

test('formats are those of the region of the reader', () => {
  expect(regional('en', ['de-DE', 'en-GB', 'en'])).toBe('en-GB');
  expect(regional('en', ['fr'])).toBe('en');
});
