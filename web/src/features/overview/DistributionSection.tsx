import { urlWith } from '../../api/request';
import type { Metric } from '../../api/generated';
import { ChartFrame } from '../../components/charts/ChartFrame';
import { ColumnChart } from '../../components/charts/ColumnChart';
import { Select } from '../../components/Field';
import { Table } from '../../components/Table';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import { useDistribution } from './api';
import { binsOf, type Bin } from './bins';
import { formatValue } from './figures';
import { behindBin } from './links';
import { numberIn, type MetricName } from './query';
import { distributionSql, type SqlScope } from './sql';
import { stateOf } from './state';
import { useOpenConversations } from './use-open';
import { useMetricTexts, useOverview } from './use-overview';

const HEIGHT_PX = 220;

/** How values spread: a histogram of a metric with bins of the catalogue. */
export default function DistributionSection({
  catalog,
  scope,
}: {
  catalog: readonly Metric[];
  scope: SqlScope | undefined;
}) {
  const { overview } = useTexts();
  const format = useFormat();
  const textsOf = useMetricTexts();
  const { search, query, change } = useOverview();
  const open = useOpenConversations(search);
  const metrics = catalog.filter((one) => one.histogram_edges.length > 0);
  const metric = metrics.find((one) => one.name === search.dist) ?? metrics[0];
  const name = (metric?.name ?? 'session_duration') as MetricName;
  const unit = metric?.unit ?? 'seconds';
  const loaded = useDistribution(query, name);
  const label = metric === undefined ? name : textsOf(metric).label;
  const bins = binsOf(
    loaded.data?.data ?? [],
    (value) => formatValue(value, { unit, stat: 'max' }, format),
    overview.distribution,
    unit === 'count',
  );
  const total = bins.reduce((sum, bin) => sum + bin.count, 0);
  const text = (bin: Bin) =>
    overview.distribution.share(
      format.count(bin.count),
      format.percent(bin.count / Math.max(1, total)),
    );
  const most = bins.reduce<Bin | null>(
    (best, bin) => (bin.count > (best?.count ?? 0) ? bin : best),
    null,
  );
  const stats = loaded.data?.statistics[0];
  const say = (stat: 'p50' | 'p90') => formatValue(numberIn(stats, stat), { unit, stat }, format);
  const canOpen = open !== undefined && behindBin(name, null, null) !== null;
  return (
    <ChartFrame
      title={overview.distribution.title}
      summary={[
        overview.distribution.summary(label, format.count(total)),
        overview.distribution.half(say('p50'), say('p90')),
        most === null
          ? ''
          : overview.distribution.most(most.label, format.percent(most.count / total)),
      ].join(' ')}
      controls={
        <Select
          label={overview.series.metric}
          labelHidden
          value={name}
          options={metrics.map((one) => ({
            value: one.name as MetricName,
            label: textsOf(one).label,
          }))}
          onChange={(value) => {
            change({ dist: value });
          }}
        />
      }
      state={stateOf(loaded, () => total === 0)}
      height={HEIGHT_PX}
      csv={{
        href: urlWith('/v1/analytics/distribution', { ...query, metric: name, format: 'csv' }),
      }}
      sql={
        scope && {
          title: label,
          query: distributionSql(name, metric?.histogram_edges ?? [], scope),
        }
      }
      table={
        <Table
          caption={`${label}: ${overview.distribution.title}`}
          rows={bins}
          rowKey={(bin) => bin.label}
          columns={[
            { key: 'bin', header: overview.distribution.bin, cell: (bin) => bin.label },
            {
              key: 'count',
              header: overview.distribution.count,
              numeric: true,
              cell: (bin) => format.count(bin.count),
            },
            {
              key: 'part',
              header: overview.distribution.part,
              numeric: true,
              cell: (bin) => format.percent(bin.count / Math.max(1, total)),
            },
          ]}
        />
      }
    >
      {(describedBy) => (
        <ColumnChart
          label={`${label}: ${overview.distribution.title}`}
          describedBy={describedBy}
          formatTick={format.count}
          valueLabel={overview.distribution.count}
          columns={bins.map((bin) => ({
            label: bin.label,
            tick: bin.tick,
            value: bin.count,
            text: text(bin),
          }))}
          onOpen={
            canOpen
              ? (index) => {
                  const bin = bins[index];
                  const behind = bin && behindBin(name, bin.lower, bin.upper);
                  if (behind != null) open(behind);
                }
              : undefined
          }
        />
      )}
    </ChartFrame>
  );
}
