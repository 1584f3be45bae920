import { useMemo } from 'react';
import type { Compared, Metric } from '../../api/generated';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import { useTimeseries } from './api';
import { pointsOf, seriesOf, spansOf } from './buckets';
import { mainStat, NOTHING } from './figures';
import type { MetricName } from './query';
import type { Group } from './search';
import { useOverview } from './use-overview';

export type ChosenSeries = ReturnType<typeof useChosenSeries>;

/** Returns metric, statistic and groups of the address; what the catalogue does not have is replaced. */
export function useChosenSeries(catalog: readonly Metric[]) {
  const { search, query } = useOverview();
  return useMemo(() => {
    const metric =
      catalog.find((one) => one.name === search.metric) ??
      catalog.find((one) => one.name === 'sessions') ??
      catalog[0];
    if (metric === undefined) throw new Error('the catalogue is empty');
    const stat = metric.statistics.find((one) => one === search.stat) ?? mainStat(metric);
    const wanted = search.group ?? 'none';
    const group: Group = metric.group_by.some((one) => one === wanted) ? wanted : 'none';
    const request = {
      query,
      metrics: [metric.name as MetricName],
      stat,
      group: group === 'none' ? undefined : group,
      bucket: search.bucket === undefined || search.bucket === 'auto' ? undefined : search.bucket,
    };
    return { metric, stat, group, request };
  }, [catalog, search, query]);
}

/** Loads the series and, where it is not split, that of the time before. */
export function useSeries(
  chosen: ChosenSeries,
  compared: Compared | null | undefined,
  label: string,
) {
  const { overview } = useTexts();
  const { language, zone } = useFormat();
  const { metric, group, request } = chosen;
  const query = useTimeseries(request);
  const bucket = query.data?.bucket;
  const { period: _period, ...rest } = request.query;
  void _period;
  const earlier = useTimeseries({
    ...request,
    query: { ...rest, from: compared?.from ?? '', to: compared?.to ?? '' },
    bucket,
    enabled: group === 'none' && compared != null && bucket !== undefined,
  });
  return useMemo(() => {
    const rows = query.data?.data ?? [];
    const spans = spansOf(rows);
    const points = bucket === undefined ? [] : pointsOf(spans, bucket, { language, zone });
    const column = group === 'none' ? null : group === 'agent' ? 'agent_id' : 'source';
    const series = seriesOf(rows, spans, metric.name, column).map((one) => ({
      ...one,
      key: column === null ? 'value' : one.key,
      label: column === null ? label : one.key === '' ? NOTHING : one.key,
    }));
    const past = group === 'none' && compared != null ? earlier.data?.data : undefined;
    const values = past && seriesOf(past, spansOf(past), metric.name, null)[0]?.values;
    const before =
      values === undefined
        ? []
        : [
            {
              key: 'before',
              label: overview.chart.before,
              before: true,
              values: spans.map((_, index) => values[index] ?? null),
            },
          ];
    return { query, spans, points, series, before };
  }, [query, earlier.data, bucket, group, metric, compared, label, language, zone, overview]);
}
