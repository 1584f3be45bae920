import type { Metric, SummaryFigure } from '../../api/generated';
import type { Format } from '../../format/use-format';
import type { Bucket } from './buckets';
import type { AnalyticsQuery, MetricName } from './query';

/** Figures that belong together, in the order of the page. Those of the catalogue that are nowhere come last. */
export const FIGURE_GROUPS = [
  {
    key: 'use',
    metrics: ['sessions', 'visits', 'active_sessions', 'concurrent_sessions', 'agents'],
  },
  {
    key: 'engagement',
    metrics: ['engagement_rate', 'silent_rate', 'single_turn_rate', 'turns', 'incomplete_sessions'],
  },
  {
    key: 'messages',
    metrics: [
      'messages',
      'user_messages',
      'assistant_messages',
      'messages_per_session',
      'turns_per_session',
    ],
  },
  {
    key: 'times',
    metrics: ['session_duration', 'reply_gap', 'first_reply_gap', 'longest_silence'],
  },
] as const satisfies { key: string; metrics: MetricName[] }[];

/** Counts that their rate shows too, as "726 of 819". */
const WITHIN_RATE: readonly string[] = [
  'engaged_sessions',
  'silent_sessions',
  'single_turn_sessions',
];

/** Returns the catalogue in the groups of the page. */
export function groupFigures(catalog: readonly Metric[]): { key: string; metrics: Metric[] }[] {
  const grouped = FIGURE_GROUPS.map(({ key, metrics }) => ({
    key,
    metrics: metrics.flatMap((name) => catalog.filter((metric) => metric.name === name)),
  }));
  const placed = new Set<string>([
    ...WITHIN_RATE,
    ...FIGURE_GROUPS.flatMap((group): readonly string[] => group.metrics),
  ]);
  const others = catalog.filter((metric) => !placed.has(metric.name));
  return others.length === 0 ? grouped : [...grouped, { key: 'others', metrics: others }];
}

/** Returns the statistic that a metric is shown by: the middle value where it has one. */
export function mainStat(metric: Pick<Metric, 'statistics'>): Metric['statistics'][number] {
  return metric.statistics.find((stat) => stat === 'p50') ?? metric.statistics[0] ?? 'count';
}

/** Returns the figure of a metric and a statistic. */
export function findFigure(
  data: readonly SummaryFigure[],
  metric: string,
  stat: string,
): SummaryFigure | undefined {
  return data.find((one) => one.metric === metric && one.stat === stat);
}

type Described = Pick<SummaryFigure, 'unit' | 'stat'>;
/** Shown where there is nothing to compute a figure from. */
export const NOTHING = '–';

/** Returns a value with its unit. */
export function formatValue(
  value: number | null | undefined,
  { unit, stat }: Described,
  format: Format,
): string {
  if (value === null || value === undefined) return NOTHING;
  if (unit === 'seconds') return format.duration(value);
  if (unit === 'ratio') return format.percent(value);
  const whole = stat === 'count' || stat === 'distinct' || stat === 'max';
  return whole ? format.count(value) : format.decimal(value);
}

export type Change =
  | { kind: 'unknown' }
  | { kind: 'new' }
  | { kind: 'same' }
  /** `by` is a fraction, or a difference of two ratios. */
  | { kind: 'fraction' | 'points'; up: boolean; by: number };

/** Changes that are shown as none: half of the last digit on view. */
const LEAST_CHANGE = 0.0005;

/** Returns how a figure changed. Ratios change by points: 88 % after 80 % is 8 points, not 10 %. */
export function changeOf(figure: SummaryFigure): Change {
  const { value, previous, change, unit } = figure;
  if (value == null || previous == null) return { kind: 'unknown' };
  if (unit === 'ratio') return moved('points', value - previous);
  if (previous === 0) return value === 0 ? { kind: 'same' } : { kind: 'new' };
  return moved('fraction', change ?? (value - previous) / previous);
}

function moved(kind: 'fraction' | 'points', by: number): Change {
  if (Math.abs(by) < LEAST_CHANGE) return { kind: 'same' };
  return { kind, up: by > 0, by: Math.abs(by) };
}

const DAY_MS = 86_400_000;
/** Longest ranges, in days, whose shape is drawn by hour and by day. */
const BY_HOUR_DAYS = 3;
const BY_DAY_DAYS = 120;

/** Returns the buckets of a shape: few enough to be one at the size of a word. */
export function shapeBucket({ period, from, to }: AnalyticsQuery): Bucket {
  if (period === 'today' || period === 'yesterday' || period === 'last_24h') return 'hour';
  if (period === 'this_year') return 'week';
  if (period !== undefined || from === undefined) return 'day';
  const days = ((to === undefined ? Date.now() : Date.parse(to)) - Date.parse(from)) / DAY_MS;
  if (days <= BY_HOUR_DAYS) return 'hour';
  return days <= BY_DAY_DAYS ? 'day' : 'week';
}
