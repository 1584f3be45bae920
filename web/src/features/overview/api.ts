import { keepPreviousData, useQuery } from '@tanstack/react-query';
import {
  getAlerts,
  getAnalyticsCatalog,
  getAnalyticsDistribution,
  getAnalyticsHeatmap,
  getAnalyticsSummary,
  getAnalyticsTimeseries,
  getAnalyticsTop,
  type Heatmap,
  type Top,
} from '../../api/generated';
import type { AnalyticsQuery, MetricName, Row, StatName } from './query';
import type { Bucket } from './buckets';
import type { Comparison } from './search';

/** Figures on view are asked for again this often; unchanged ones cost a 304. */
export const REFRESH_MS = 30_000;
/** Names to choose from, and definitions, change rarely. */
const SLOW_MS = 10 * 60_000;

/** Names to choose from at most: what `top` gives at once. */
export const NAMES_LIMIT = 100;

const figures = { refetchInterval: REFRESH_MS, placeholderData: keepPreviousData } as const;

/** Every metric with its definition. */
export function useCatalog() {
  return useQuery({
    queryKey: ['analytics', 'catalog'],
    queryFn: async ({ signal }) => (await getAnalyticsCatalog({ signal })).data.data,
    staleTime: SLOW_MS,
  });
}

/** Every figure of the catalogue over a range, with the change since an earlier one. */
export function useSummary(query: AnalyticsQuery, compare: Comparison) {
  return useQuery({
    queryKey: ['analytics', 'summary', query, compare],
    queryFn: async ({ signal }) =>
      (await getAnalyticsSummary({ query: { ...query, compare }, signal })).data,
    ...figures,
  });
}

interface SeriesRequest {
  query: AnalyticsQuery;
  metrics: MetricName[];
  stat?: StatName | undefined;
  bucket?: Bucket | undefined;
  group?: 'agent' | 'source' | undefined;
  enabled?: boolean;
}

/** Returns the parameters of a time series, for its request and for its file. */
export function seriesQuery({ query, metrics, stat, bucket, group }: SeriesRequest) {
  return {
    ...query,
    metric: metrics,
    ...(stat !== undefined && { stat }),
    ...(bucket !== undefined && { bucket }),
    ...(group !== undefined && { group_by: group }),
  };
}

/** Figures by bucket and group. */
export function useTimeseries(request: SeriesRequest) {
  const query = seriesQuery(request);
  return useQuery({
    queryKey: ['analytics', 'timeseries', query],
    queryFn: async ({ signal }) => {
      const { data } = await getAnalyticsTimeseries({ query, signal });
      return { ...data, bucket: data.bucket as Bucket, data: data.data as Row[] };
    },
    enabled: request.enabled ?? true,
    ...figures,
  });
}

/** Totals by weekday and hour. */
export function useHeatmap(query: AnalyticsQuery, metric: MetricName) {
  return useQuery({
    queryKey: ['analytics', 'heatmap', query, metric],
    queryFn: async ({ signal }) => {
      const { data } = await getAnalyticsHeatmap({ query: { ...query, metric }, signal });
      return withRows<Heatmap>(data);
    },
    ...figures,
  });
}

/** A histogram of a metric's values. */
export function useDistribution(query: AnalyticsQuery, metric: MetricName) {
  return useQuery({
    queryKey: ['analytics', 'distribution', query, metric],
    queryFn: async ({ signal }) => {
      const { data } = await getAnalyticsDistribution({ query: { ...query, metric }, signal });
      return { ...data, data: data.data as Row[], statistics: data.statistics as Row[] };
    },
    ...figures,
  });
}

interface TopRequest {
  query: AnalyticsQuery;
  by: 'agent' | 'source' | 'room' | 'first_message';
  metric: MetricName;
  stat?: StatName | undefined;
  limit: number;
  enabled?: boolean;
}

/** Returns the parameters of the largest groups, for their request and for their file. */
export function topQuery({ query, by, metric, stat, limit }: TopRequest) {
  return { ...query, by, metric, limit, ...(stat !== undefined && { stat }) };
}

/** The largest groups by a metric. */
export function useTop(request: TopRequest) {
  return useQuery({ ...topOptions(request), ...figures });
}

/** Returns what loads the largest groups. */
export function topOptions(request: TopRequest) {
  const query = topQuery(request);
  return {
    queryKey: ['analytics', 'top', query],
    queryFn: async ({ signal }: { signal: AbortSignal }) => {
      const { data } = await getAnalyticsTop({ query, signal });
      return { ...withRows<Top>(data), other: data.other as Row };
    },
    enabled: request.enabled ?? true,
  };
}

function withRows<T extends { data: unknown }>(answer: T): Omit<T, 'data'> & { data: Row[] } {
  return { ...answer, data: answer.data as Row[] };
}

/** Agents or sources of the last 90 days, to choose from. */
export function useNames(by: 'agent' | 'source', zone: string) {
  return useQuery({
    ...topOptions({
      query: { period: 'last_90d', tz: zone },
      by,
      metric: 'sessions',
      limit: NAMES_LIMIT,
    }),
    staleTime: SLOW_MS,
    select: (top) =>
      top.data
        .map((row) => row[by === 'agent' ? 'agent_id' : 'source'])
        .filter((name): name is string => typeof name === 'string'),
  });
}

/** The alerts of the settings and their states. */
export function useAlerts() {
  return useQuery({
    queryKey: ['alerts'],
    queryFn: async ({ signal }) => (await getAlerts({ signal })).data.data,
    refetchInterval: REFRESH_MS,
  });
}
