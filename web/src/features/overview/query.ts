import { addDays } from '../../components/DateRange/range';
import type { GetAnalyticsTimeseriesData } from '../../api/generated';
import { rangeOf, type OverviewSearch } from './search';

type TimeseriesQuery = NonNullable<GetAnalyticsTimeseriesData['query']>;
export type MetricName = NonNullable<TimeseriesQuery['metric']>[number];
export type StatName = NonNullable<TimeseriesQuery['stat']>;

/** Range, zone and filters, as every figure's request has them. */
export type AnalyticsQuery = Pick<
  TimeseriesQuery,
  'from' | 'to' | 'period' | 'tz' | 'agent_id' | 'source' | 'room_name'
>;

/** A flat row of an answer. */
export type Row = Record<string, string | number | boolean | null>;

/** Returns the parameters of the range and the filters on view. */
export function analyticsQuery(search: OverviewSearch, zone: string): AnalyticsQuery {
  const range = rangeOf(search);
  return {
    ...(range.period !== undefined && { period: range.period }),
    ...(range.from !== undefined && { from: range.from }),
    ...(range.to !== undefined && { to: addDays(range.to, 1) }),
    tz: zone,
    ...filtersOf(search),
  };
}

/** Returns the parameters of the filters alone. */
export function filtersOf(search: OverviewSearch): AnalyticsQuery {
  return {
    ...(search.agent !== undefined && { agent_id: search.agent }),
    ...(search.source !== undefined && { source: [search.source] }),
    ...(search.room !== undefined && { room_name: [search.room] }),
  };
}

/** Returns the number of a column, or null where there is none. */
export function numberIn(row: Row | undefined, column: string): number | null {
  const value = row?.[column];
  return typeof value === 'number' ? value : null;
}

/** Returns the text of a column, or null where there is none. */
export function textIn(row: Row | undefined, column: string): string | null {
  const value = row?.[column];
  return typeof value === 'string' ? value : null;
}
