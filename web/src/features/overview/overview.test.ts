import { describe, expect, test } from 'vitest';
import { duration } from '../../format/duration';
import type { Metric } from '../../api/generated';
import { en } from '../../texts/en';
import { binsOf } from './bins';
import { pointsOf, seriesOf, spanName, spansOf } from './buckets';
import { changeOf, formatValue, groupFigures, mainStat, shapeBucket } from './figures';
import { countFunnel, countTurns, divide, funnelOfFigures, nearestGap, partOf } from './funnel';
import { busiest, heatRows, weekdayName } from './heat';
import { behindBin, behindMetric, conversationsSearch, datesOf } from './links';
import { analyticsQuery } from './query';
import { chanceOfAtMost, compareWindows, weeksBefore, windowsOf } from './quiet';
import { parseOverviewSearch, rangeOf } from './search';
import { silentAgents } from './silent';
import { zoneOffsetMs } from './zone';

const metric = (name: string, more: Partial<Metric> = {}): Metric => ({
  name,
  label: name,
  description: '',
  unit: 'count',
  statistics: ['count'],
  attribution: 'session_start',
  additive: true,
  exact: true,
  group_by: ['agent', 'source'],
  histogram_edges: [],
  ...more,
});

describe('search params', () => {
  test('are read, and what makes no sense is left out', () => {
    expect(
      parseOverviewSearch({
        period: 'last_30d',
        agent: ['A', 'B'],
        source: 'default',
        compare: 'sideways',
        gap: '60',
        quiet: '7',
        from: 'soon',
      }),
    ).toEqual({ period: 'last_30d', agent: ['A', 'B'], source: 'default', gap: 60 });
  });

  test('become the parameters of requests', () => {
    expect(analyticsQuery({}, 'UTC')).toEqual({ period: 'last_7d', tz: 'UTC' });
    expect(
      analyticsQuery(
        { from: '2026-11-01', to: '2026-11-30', agent: ['A'], room: 'R' },
        'Asia/Kathmandu',
      ),
    ).toEqual({
      from: '2026-11-01',
      to: '2026-12-01',
      tz: 'Asia/Kathmandu',
      agent_id: ['A'],
      room_name: ['R'],
    });
    expect(rangeOf({ period: 'today', from: '2026-11-01' })).toEqual({ period: 'today' });
  });
});

describe('figures', () => {
  test('are grouped, and a metric that is new to the page is shown all the same', () => {
    const groups = groupFigures([metric('sessions'), metric('engaged_sessions'), metric('smiles')]);
    expect(groups[0]?.metrics.map((one) => one.name)).toEqual(['sessions']);
    expect(groups.at(-1)).toMatchObject({ key: 'others', metrics: [{ name: 'smiles' }] });
  });

  test('show the median where there is one', () => {
    expect(mainStat({ statistics: ['avg', 'p50', 'max'] })).toBe('p50');
    expect(mainStat({ statistics: ['distinct'] })).toBe('distinct');
  });

  test('have units', () => {
    const format = {
      count: (value: number) => String(value),
      decimal: (value: number) => value.toFixed(1),
      percent: (value: number) => `${String(value * 100)}%`,
      duration: (value: number) => duration(value, 'en'),
    } as Parameters<typeof formatValue>[2];
    expect(formatValue(200, { unit: 'seconds', stat: 'p50' }, format)).toBe('3 min 20 s');
    expect(formatValue(0.25, { unit: 'ratio', stat: 'ratio' }, format)).toBe('25%');
    expect(formatValue(3.21, { unit: 'count', stat: 'avg' }, format)).toBe('3.2');
    expect(formatValue(3, { unit: 'count', stat: 'max' }, format)).toBe('3');
    expect(formatValue(null, { unit: 'count', stat: 'count' }, format)).toBe('–');
  });

  test.each([
    [
      { value: 125, previous: 100, change: 0.25 },
      { kind: 'fraction', up: true, by: 0.25 },
    ],
    [
      { value: 50, previous: 100, change: -0.5 },
      { kind: 'fraction', up: false, by: 0.5 },
    ],
    [{ value: 5, previous: 0, change: null }, { kind: 'new' }],
    [{ value: 0, previous: 0, change: null }, { kind: 'same' }],
    [{ value: 7, previous: null, change: null }, { kind: 'unknown' }],
    [{ value: 100, previous: 100, change: 0 }, { kind: 'same' }],
  ])('change: %j', (figure, change) => {
    expect(changeOf({ metric: 'x', stat: 'count', unit: 'count', ...figure })).toEqual(change);
  });

  test('ratios change by points', () => {
    const change = changeOf({
      metric: 'x',
      stat: 'ratio',
      unit: 'ratio',
      value: 0.88,
      previous: 0.8,
      change: 0.1,
    });
    expect(change).toMatchObject({ kind: 'points', up: true });
    expect('by' in change && change.by).toBeCloseTo(0.08);
  });

  test('have shapes of few buckets', () => {
    expect(shapeBucket({ period: 'today' })).toBe('hour');
    expect(shapeBucket({ period: 'last_30d' })).toBe('day');
    expect(shapeBucket({ from: '2026-01-01', to: '2026-12-31' })).toBe('week');
    expect(shapeBucket({ from: '2026-01-01', to: '2026-01-03' })).toBe('hour');
  });
});

describe('buckets', () => {
  const row = (start: string, end: string, local: string, more = {}) => ({
    start,
    end,
    local_start: local,
    complete: true,
    sessions: 1,
    ...more,
  });
  const day = (date: string, more = {}) =>
    row(`${date}T00:00:00Z`, `${date}T23:59:59.999Z`, `${date}T00:00:00+00:00`, more);

  test('are each there once, with a value for each group, the largest group first', () => {
    const rows = [
      day('2026-11-01', { agent_id: 'A', sessions: 1 }),
      day('2026-11-01', { agent_id: 'B', sessions: 3 }),
      day('2026-11-02', { agent_id: 'B', sessions: 4 }),
    ];
    const spans = spansOf(rows);
    expect(spans).toHaveLength(2);
    expect(seriesOf(rows, spans, 'sessions', 'agent_id')).toEqual([
      { key: 'B', values: [3, 4] },
      { key: 'A', values: [1, null] },
    ]);
  });

  test('are marked by a unit that fits: Mondays of a month, midnights of a week', () => {
    const month = Array.from({ length: 30 }, (_, index) =>
      day(`2026-11-${String(index + 1).padStart(2, '0')}`),
    );
    const locale = { language: 'en-GB', zone: 'UTC' };
    const points = pointsOf(spansOf(month), 'day', locale);
    expect(points.filter((point) => point.mark).map((point) => point.tick)).toEqual([
      '2 Nov',
      '9 Nov',
      '16 Nov',
      '23 Nov',
      '30 Nov',
    ]);
    const week = pointsOf(spansOf(month.slice(0, 7)), 'day', locale);
    expect(week.filter((point) => point.mark)).toHaveLength(7);
  });

  test('have names in the zone of the page', () => {
    const span = { start: '2026-11-30T23:00:00Z', end: '2026-12-01T00:00:00Z' };
    expect(spanName(span, 'hour', { language: 'en-GB', zone: 'Europe/Berlin' })).toMatch(
      /^Tue,? 1 Dec, 0?0:00 – 0?1:00$/,
    );
    const week = { start: '2026-11-22T23:00:00Z', end: '2026-11-29T23:00:00Z' };
    expect(spanName(week, 'week', { language: 'en-GB', zone: 'Europe/Berlin' })).toMatch(
      /^Mon,? 23 Nov – Sun,? 29 Nov$/,
    );
  });
});

test('bins of whole numbers have short names', () => {
  const rows = [
    { lower: 0, upper: 1, count: 1 },
    { lower: 3, upper: 5, count: 2 },
    { lower: 100, upper: null, count: 3 },
  ];
  const texts = en.overview.distribution;
  expect(binsOf(rows, String, texts, true).map((bin) => bin.label)).toEqual([
    '0',
    '3–4',
    '100 or more',
  ]);
  expect(binsOf(rows, String, texts).map((bin) => bin.label)).toEqual([
    'under 1',
    '3 to under 5',
    '100 or more',
  ]);
});

test('a heatmap averages over the hours that the range holds', () => {
  const rows = heatRows(
    [
      { weekday: 'sunday', hour: 0, sessions: 6, hours: 2 },
      { weekday: 'sunday', hour: 1, sessions: 0, hours: 0 },
    ],
    'sessions',
    false,
  );
  expect(rows).toEqual([
    {
      weekday: 6,
      cells: [
        { total: 6, hours: 2, perHour: 3 },
        { total: 0, hours: 0, perHour: null },
      ],
    },
  ]);
  expect(busiest(rows)).toEqual({ weekday: 6, hour: 0, value: 3 });
  expect(busiest([])).toBeNull();
  expect(weekdayName(6, 'en', 'long')).toBe('Sunday');
});

describe('conversations behind figures', () => {
  test('keep the filters on view', () => {
    expect(
      conversationsSearch({ period: 'last_30d', agent: ['A'], source: 's' }, { silent: true }),
    ).toEqual({ period: 'last_30d', agent: ['A'], source: 's', silent: true });
    expect(conversationsSearch({}, { from: '2026-11-01', to: '2026-11-01' })).toEqual({
      from: '2026-11-01',
      to: '2026-11-01',
    });
  });

  test('of a bucket are those of its local dates', () => {
    const span = { start: '2026-11-29T23:00:00Z', end: '2026-11-30T23:00:00Z' };
    expect(datesOf(span, 'Europe/Berlin')).toEqual({ from: '2026-11-30', to: '2026-11-30' });
  });

  test('of a bin are those of its length', () => {
    expect(behindBin('session_duration', 0, 10)).toEqual({ shorter: 10 });
    expect(behindBin('messages_per_session', 3, 5)).toEqual({ min: 3, max: 4 });
    expect(behindBin('reply_gap', 3, 5)).toBeNull();
    expect(behindMetric('silent_rate')).toEqual({ behind: { silent: true }, exact: true });
    expect(behindMetric('turns').exact).toBe(false);
  });
});

describe('funnel', () => {
  const said = (...words: [string, number][]) =>
    words.map(([role, at]) => ({ user: role === 'u', at: at * 1000 }));

  test('divides where nobody speaks for longer than the gap', () => {
    const messages = said(['u', 0], ['a', 5], ['u', 65], ['a', 126]);
    expect(divide(messages, 60)).toHaveLength(2);
    expect(divide(messages, 61)).toHaveLength(1);
    expect(divide([], 60)).toEqual([]);
  });

  test('counts unbroken runs of user messages as one turn', () => {
    expect(countTurns(said(['u', 0], ['u', 1], ['a', 2], ['u', 3]))).toBe(2);
    expect(countTurns(said(['a', 0]))).toBe(0);
  });

  test('counts how far visits come', () => {
    const sessions = [
      { live: false, messages: said(['u', 0], ['a', 1], ['u', 2], ['a', 3], ['a', 1_000]) },
      { live: false, messages: said(['u', 0], ['a', 1], ['u', 2]) },
      { live: true, messages: said(['u', 0], ['a', 1], ['u', 2], ['a', 3]) },
      { live: false, messages: [] },
    ];
    expect(countFunnel(sessions, 300)).toEqual({ joined: 5, spoke: 3, second_turn: 3, ended: 1 });
  });

  test('by session has no last step', () => {
    const values: Record<string, number> = {
      sessions: 10,
      engaged_sessions: 8,
      single_turn_sessions: 3,
    };
    expect(funnelOfFigures((name) => values[name] ?? null)).toEqual({
      joined: 10,
      spoke: 8,
      second_turn: 5,
      ended: null,
    });
    expect(partOf(5, 8)).toBeCloseTo(0.625);
    expect(partOf(5, 0)).toBeNull();
  });

  test('tries out gaps of a scale', () => {
    expect(nearestGap(70)).toBe(60);
    expect(nearestGap(1e9)).toBe(3_600);
  });
});

describe('unusual quiet', () => {
  test('compares with what chance allows', () => {
    expect(chanceOfAtMost(0, 3)).toBeCloseTo(Math.exp(-3));
    expect(chanceOfAtMost(2, 10)).toBeCloseTo(0.00277, 4);
    const window = (entries: Record<string, number>) => new Map(Object.entries(entries));
    const usual = window({ busy: 20, calm: 1, steady: 12 });
    const agents = compareWindows([window({ busy: 4, steady: 10 }), usual, usual, usual, usual]);
    expect(agents.map((one) => [one.agent, one.state])).toEqual([
      ['busy', 'quiet'],
      ['steady', 'normal'],
      ['calm', 'unknown'],
    ]);
  });

  test('says nothing about agents that the current window may have and does not name', () => {
    const before = new Map([['unnamed', 50]]);
    const windows = [new Map([['named', 60]]), before, before, before, before];
    expect(compareWindows(windows, false).map((one) => one.agent)).toEqual(['named']);
    expect(compareWindows(windows).map((one) => one.agent)).toContain('unnamed');
  });

  test('looks at the same local hours across a shift of the clock', () => {
    // Berlin set its clock back on 25 October 2026.
    const now = Date.parse('2026-10-28T11:00:00Z');
    expect(new Date(weeksBefore(now, 1, 'Europe/Berlin')).toISOString()).toBe(
      '2026-10-21T10:00:00.000Z',
    );
    expect(new Date(weeksBefore(now, 1, 'UTC')).toISOString()).toBe('2026-10-21T11:00:00.000Z');
    expect(windowsOf(now + 60_000, 6, 'UTC')[0]).toEqual({
      from: '2026-10-28T05:00:00.000Z',
      to: '2026-10-28T11:00:00.000Z',
    });
    expect(zoneOffsetMs(now, 'Asia/Kathmandu')).toBe(5.75 * 3_600_000);
  });
});

test('silent arrivals are summed over all agents', () => {
  const row = (agent_id: string, part: number, whole: number) => ({
    agent_id,
    silent_rate: part / whole,
    silent_rate_numerator: part,
    silent_rate_denominator: whole,
  });
  const found = silentAgents([row('A', 2, 2), row('B', 4, 10)], {
    groups: 3,
    silent_rate_numerator: 1,
    silent_rate_denominator: 8,
  });
  expect(found).toMatchObject({ silent: 7, sessions: 20, worst: { agent: 'B' } });
});
