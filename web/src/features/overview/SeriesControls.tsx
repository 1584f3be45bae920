import { Select } from '../../components/Field';
import type { Metric } from '../../api/generated';
import { useTexts } from '../../texts';
import { BUCKETS, GROUPS } from './search';
import { useMetricTexts, useOverview } from './use-overview';
import type { ChosenSeries } from './use-series';

/** Metric, statistic and groups of the chart over time. */
export function SeriesControls({
  catalog,
  chosen,
}: {
  catalog: readonly Metric[];
  chosen: ChosenSeries;
}) {
  const { overview } = useTexts();
  const textsOf = useMetricTexts();
  const { search, change } = useOverview();
  const { metric, stat, group } = chosen;
  const groups = GROUPS.filter((one) => one === 'none' || metric.group_by.some((by) => by === one));
  return (
    <>
      <Select
        label={overview.series.metric}
        labelHidden
        value={metric.name}
        options={catalog.map((one) => ({ value: one.name, label: textsOf(one).label }))}
        onChange={(value) => {
          change({ metric: value, stat: undefined });
        }}
      />
      {metric.statistics.length > 1 && (
        <Select
          label={overview.series.stat}
          labelHidden
          value={stat}
          options={metric.statistics.map((one) => ({ value: one, label: overview.stats[one] }))}
          onChange={(value) => {
            change({ stat: value });
          }}
        />
      )}
      {groups.length > 1 && (
        <Select
          label={overview.series.group}
          labelHidden
          value={group}
          options={groups.map((one) => ({ value: one, label: overview.series.groups[one] }))}
          onChange={(value) => {
            change({ group: value === 'none' ? undefined : value });
          }}
        />
      )}
      <Select
        label={overview.series.bucket}
        labelHidden
        value={search.bucket ?? 'auto'}
        options={BUCKETS.map((one) => ({ value: one, label: overview.series.byBucket[one] }))}
        onChange={(value) => {
          change({ bucket: value === 'auto' ? undefined : value });
        }}
      />
    </>
  );
}
