import { urlWith } from '../../api/request';
import type { Compared, Metric } from '../../api/generated';
import { ChartFrame } from '../../components/charts/ChartFrame';
import { LineChart } from '../../components/charts/LineChart';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import { seriesQuery } from './api';
import { MOST_SERIES } from './buckets';
import { formatValue } from './figures';
import { behindMetric, datesOf } from './links';
import type { MetricName } from './query';
import { describeSeries } from './describe';
import { seriesSql, type SqlScope } from './sql';
import { SeriesControls } from './SeriesControls';
import { SeriesTable } from './SeriesTable';
import { stateOf } from './state';
import { useOpenConversations } from './use-open';
import { useMetricTexts, useOverview } from './use-overview';
import { useChosenSeries, useSeries } from './use-series';

interface Props {
  catalog: readonly Metric[];
  scope: SqlScope | undefined;
  /** Earlier range that is compared with. */
  compared: Compared | null | undefined;
}

const HEIGHT_PX = 272;

/** One figure over time, alone with the time before, or split by agent or source. */
export default function SeriesSection({ catalog, scope, compared }: Props) {
  const { overview } = useTexts();
  const format = useFormat();
  const textsOf = useMetricTexts();
  const { search } = useOverview();
  const open = useOpenConversations(search);
  const chosen = useChosenSeries(catalog);
  const { metric, stat, group } = chosen;
  const { label } = textsOf(metric);
  const { query, before, spans, points, series } = useSeries(chosen, compared, label);
  const shown = series.slice(0, MOST_SERIES);
  const bucket = query.data?.bucket ?? 'day';
  const say = (value: number | null) => formatValue(value, { unit: metric.unit, stat }, format);

  return (
    <ChartFrame
      title={overview.series.title}
      summary={
        query.data === undefined
          ? ''
          : describeSeries({
              label,
              bucket,
              points,
              values: series[0]?.values ?? [],
              say,
              overview,
              format,
              groups: series.length,
              split: group !== 'none',
            })
      }
      controls={<SeriesControls catalog={catalog} chosen={chosen} />}
      state={stateOf(query, () => points.length === 0)}
      height={HEIGHT_PX}
      csv={{
        href: urlWith('/v1/analytics/timeseries', {
          ...seriesQuery(chosen.request),
          format: 'csv',
        }),
      }}
      sql={
        scope && { title: label, query: seriesSql(metric.name as MetricName, stat, bucket, scope) }
      }
      table={
        <SeriesTable
          title={`${label}: ${overview.series.title}`}
          points={points.map((point, index) => ({ ...point, index }))}
          series={[...series, ...before]}
          say={say}
        />
      }
    >
      {(describedBy) => (
        <LineChart
          label={`${label}: ${overview.series.title}`}
          describedBy={describedBy}
          unit={metric.unit}
          points={points}
          series={[...shown, ...before]}
          format={say}
          formatTick={(value) => formatValue(value, { unit: metric.unit, stat: 'max' }, format)}
          nothing={overview.nothing}
          onOpen={
            open &&
            ((point, key) => {
              const span = spans[point];
              if (span === undefined) return;
              const grouped =
                group === 'none' || key === 'before'
                  ? {}
                  : group === 'agent'
                    ? { agent: [key] }
                    : { source: key };
              open({
                ...behindMetric(metric.name).behind,
                ...datesOf(span, format.zone),
                ...grouped,
              });
            })
          }
        />
      )}
    </ChartFrame>
  );
}
