import { describe, expect, test } from 'vitest';
import { toCsv } from './csv';
import { moveReading } from './reading';
import { bandAt, heatOpacity, pointAt, shownTicks, valueTicks } from './scales';
import { summarize } from './summary';

describe('ticks of a value axis', () => {
  test.each([
    ['count', 40, [0, 10, 20, 30, 40]],
    ['count', 3, [0, 1, 2, 3]],
    ['count', 1, [0, 1]],
    ['ratio', 0.6, [0, 0.2, 0.4, 0.6]],
    ['seconds', 250, [0, 120, 240, 360]],
    ['seconds', 9, [0, 5, 10]],
    ['seconds', 400_000, [0, 172_800, 345_600, 518_400]],
  ] as const)('of %s up to %d', (unit, max, ticks) => {
    expect(valueTicks(max, unit)).toEqual(ticks);
  });

  test('cover the highest value', () => {
    for (const unit of ['count', 'ratio', 'seconds'] as const) {
      for (const max of [0.01, 0.3, 1, 7, 33, 101, 4_321, 99_999]) {
        expect(valueTicks(max, unit).at(-1)).toBeGreaterThanOrEqual(max);
      }
    }
  });

  test('are there where there are no values', () => {
    expect(valueTicks(0, 'count')).toEqual([0, 1]);
    expect(valueTicks(Number.NaN, 'ratio')).toEqual([0, 0.5, 1]);
  });
});

describe('labels of a time axis', () => {
  test('are as many as fit', () => {
    expect(shownTicks(24, 600, 100)).toEqual([0, 4, 8, 12, 16, 20]);
    expect(shownTicks(5, 1_000, 100)).toEqual([0, 1, 2, 3, 4]);
    expect(shownTicks(5, 10, 100)).toEqual([0]);
  });

  test('stand at marks where there are some', () => {
    expect(shownTicks(48, 600, 100, [3, 27])).toEqual([3, 27]);
    expect(shownTicks(480, 300, 100, [0, 24, 48, 72, 96, 120])).toEqual([0, 48, 96]);
  });
});

test('a pixel leads to the nearest point and to its band', () => {
  expect(pointAt(49, 100, 3)).toBe(1);
  expect(pointAt(-5, 100, 3)).toBe(0);
  expect(pointAt(500, 100, 3)).toBe(2);
  expect(bandAt(99, 100, 24)).toBe(23);
  expect(bandAt(100, 100, 24)).toBe(23);
  expect(bandAt(10, 0, 24)).toBe(0);
});

test('a cell with anything can be told from an empty one', () => {
  expect(heatOpacity(0, 10)).toBe(0);
  expect(heatOpacity(0.001, 10)).toBeGreaterThan(0.1);
  expect(heatOpacity(10, 10)).toBe(1);
  expect(heatOpacity(1, 0)).toBe(0);
});

describe('reading by keyboard', () => {
  const extent = { rows: 2, columns: 30 };
  test('starts with the latest point', () => {
    expect(moveReading('ArrowLeft', null, extent)).toEqual({ row: 0, column: 29 });
    expect(moveReading('Home', null, extent)).toEqual({ row: 0, column: 0 });
  });

  test.each([
    ['ArrowLeft', { row: 0, column: 9 }],
    ['ArrowRight', { row: 0, column: 11 }],
    ['ArrowDown', { row: 1, column: 10 }],
    ['ArrowUp', { row: 0, column: 10 }],
    ['PageUp', { row: 0, column: 7 }],
    ['PageDown', { row: 0, column: 13 }],
    ['Home', { row: 0, column: 0 }],
    ['End', { row: 0, column: 29 }],
  ])('%s', (key, place) => {
    expect(moveReading(key, { row: 0, column: 10 }, extent)).toEqual(place);
  });

  test('stays within the chart', () => {
    expect(moveReading('ArrowRight', { row: 1, column: 29 }, extent)).toEqual({
      row: 1,
      column: 29,
    });
    expect(moveReading('ArrowDown', { row: 1, column: 29 }, extent)).toEqual({
      row: 1,
      column: 29,
    });
  });

  test('leaves other keys and empty charts alone', () => {
    expect(moveReading('a', { row: 0, column: 0 }, extent)).toBeNull();
    expect(moveReading('ArrowLeft', null, { rows: 1, columns: 0 })).toBeNull();
  });
});

describe('CSV', () => {
  test('quotes texts and ends lines as RFC 4180 says', () => {
    expect(
      toCsv(
        ['a', 'b'],
        [
          ['x "y"', 1.5],
          [null, true],
        ],
      ),
    ).toBe('"a","b"\r\n"x ""y""",1.5\r\n,true\r\n');
  });

  test('runs no formula', () => {
    expect(toCsv(['a'], [['=1+1'], ['+1'], ['@x'], ['a;=b'], [-1]])).toBe(
      '"a"\r\n"\'=1+1"\r\n"\'+1"\r\n"\'@x"\r\n"\'a;=b"\r\n-1\r\n',
    );
  });
});

describe('summary of a series', () => {
  test('names the extremes and the trend', () => {
    expect(summarize([1, 2, null, 8, 9])).toEqual({
      total: 20,
      mean: 5,
      highest: 4,
      lowest: 0,
      latest: 4,
      trend: 'rising',
    });
    expect(summarize([5, 5, 5, 5]).trend).toBe('steady');
    expect(summarize([9, 8, 2, 1]).trend).toBe('falling');
  });

  test('does not compare what is not complete', () => {
    const found = summarize([0, 5, 6, 5, 5, 1], (index) => index > 0 && index < 5);
    expect(found.highest).toBe(2);
    expect(found.lowest).toBe(1);
    expect(found.trend).toBe('steady');
  });

  test('says nothing about nothing', () => {
    expect(summarize([null, null])).toMatchObject({
      mean: null,
      highest: null,
      latest: null,
      trend: null,
    });
    expect(summarize([1, 100]).trend).toBeNull();
  });
});
