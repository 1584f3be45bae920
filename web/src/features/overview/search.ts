import { choiceParam, defined, listParam, numberParam, textParam } from '../../app/search-params';
import { isDate, PERIODS, type Period, type Range } from '../../components/DateRange/range';

export const COMPARISONS = ['previous', 'same_weekdays', 'previous_year', 'none'] as const;
export type Comparison = (typeof COMPARISONS)[number];
export const GROUPS = ['none', 'agent', 'source'] as const;
export type Group = (typeof GROUPS)[number];
export const TOPS = ['agent', 'room', 'source', 'first_message'] as const;
export type TopBy = (typeof TOPS)[number];
export const BUCKETS = ['auto', '15m', 'hour', 'day', 'week', 'month'] as const;
export type BucketChoice = (typeof BUCKETS)[number];
/** Hours that "unusual quiet" compares. */
export const QUIET_HOURS = ['1', '6', '24'] as const;

export const DEFAULT_PERIOD: Period = 'last_7d';

/** Search params of the view: what is on view can be shared by its address. */
export interface OverviewSearch {
  period?: Period;
  /** Local dates, both inclusive. */
  from?: string;
  to?: string;
  /** Zone of dates and buckets; the page's own where it is left out. */
  tz?: string;
  agent?: string[];
  source?: string;
  room?: string;
  compare?: Comparison;
  /** Metric whose definition is open. */
  figure?: string;
  /** Metric, statistic, groups and buckets over time. */
  metric?: string;
  stat?: string;
  group?: Group;
  bucket?: BucketChoice;
  /** Metrics of the heatmap and the distribution. */
  heat?: string;
  dist?: string;
  /** Largest groups: by what, and of which metric. */
  top?: TopBy;
  rank?: string;
  /** Visit gap to try out, in seconds. */
  gap?: number;
  quiet?: (typeof QUIET_HOURS)[number];
}

export function parseOverviewSearch(search: Record<string, unknown>): OverviewSearch {
  const from = textParam(search, 'from');
  const to = textParam(search, 'to');
  return defined({
    period: choiceParam(search, 'period', PERIODS),
    from: isDate(from) ? from : undefined,
    to: isDate(to) ? to : undefined,
    tz: textParam(search, 'tz'),
    agent: listParam(search, 'agent'),
    source: textParam(search, 'source'),
    room: textParam(search, 'room'),
    compare: choiceParam(search, 'compare', COMPARISONS),
    figure: textParam(search, 'figure'),
    metric: textParam(search, 'metric'),
    stat: textParam(search, 'stat'),
    group: choiceParam(search, 'group', GROUPS),
    bucket: choiceParam(search, 'bucket', BUCKETS),
    heat: textParam(search, 'heat'),
    dist: textParam(search, 'dist'),
    top: choiceParam(search, 'top', TOPS),
    rank: textParam(search, 'rank'),
    gap: numberParam(search, 'gap'),
    quiet: choiceParam(search, 'quiet', QUIET_HOURS),
  });
}

/** Returns the range that is on view. */
export function rangeOf(search: OverviewSearch): Range {
  if (search.period !== undefined) return { period: search.period };
  if (search.from === undefined) return { period: DEFAULT_PERIOD };
  return { from: search.from, to: search.to };
}
