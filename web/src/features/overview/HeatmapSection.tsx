import { urlWith } from '../../api/request';
import type { Metric } from '../../api/generated';
import { ChartFrame } from '../../components/charts/ChartFrame';
import { Heatmap } from '../../components/charts/Heatmap';
import { Select } from '../../components/Field';
import { Table } from '../../components/Table';
import { useFormat, type Format } from '../../format/use-format';
import { useTexts } from '../../texts';
import { useHeatmap } from './api';
import { formatValue } from './figures';
import { busiest, heatRows, hourName, hourTick, weekdayName, type HeatRow } from './heat';
import type { MetricName } from './query';
import { heatmapSql, type SqlScope } from './sql';
import { stateOf } from './state';
import { useMetricTexts, useOverview } from './use-overview';

const HEIGHT_PX = 218;
const DAY_HOURS = 24;

/** When it is busy: an average hour of each weekday, on the local clock. */
export default function HeatmapSection({
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
  // Only what adds up, or a ratio, has a total by hour.
  const metrics = catalog.filter((one) => one.additive || one.unit === 'ratio');
  const metric = metrics.find((one) => one.name === search.heat) ?? metrics[0];
  const name = (metric?.name ?? 'sessions') as MetricName;
  const ratio = metric?.unit === 'ratio';
  const loaded = useHeatmap(query, name);
  const rows = heatRows(loaded.data?.data ?? [], name, ratio);
  const label = metric === undefined ? name : textsOf(metric).label;
  const say = sayer(ratio, format, overview);
  const hourRange = (hour: number) =>
    overview.heatmap.hour(
      hourName(hour, format.language),
      hourName((hour + 1) % DAY_HOURS, format.language),
    );
  const best = busiest(rows);
  return (
    <ChartFrame
      title={overview.heatmap.title}
      summary={[
        `${label}.`,
        overview.heatmap.summary(format.zone),
        best === null
          ? ''
          : overview.heatmap.busiest(
              `${weekdayName(best.weekday, format.language, 'long')}, ${hourRange(best.hour)}`,
              say.mean(best.value),
            ),
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
            change({ heat: value });
          }}
        />
      }
      state={stateOf(loaded, () => best === null)}
      height={HEIGHT_PX}
      csv={{ href: urlWith('/v1/analytics/heatmap', { ...query, metric: name, format: 'csv' }) }}
      sql={scope && { title: label, query: heatmapSql(name, scope) }}
      table={<HeatTable rows={rows} say={say} hourRange={hourRange} title={label} />}
    >
      {(describedBy) => (
        <Heatmap
          label={`${label}: ${overview.heatmap.title}`}
          describedBy={describedBy}
          max={best?.value ?? 0}
          columnLabel={hourRange}
          columnTick={(hour) => hourTick(hour, format.language)}
          rows={rows.map((row) => ({
            label: weekdayName(row.weekday, format.language, 'long'),
            short: weekdayName(row.weekday, format.language, 'short'),
            cells: row.cells.map((cell) => ({ value: cell.perHour, text: say.cell(cell) })),
          }))}
        />
      )}
    </ChartFrame>
  );
}

type Cell = HeatRow['cells'][number];

function sayer(ratio: boolean, format: Format, overview: ReturnType<typeof useTexts>['overview']) {
  const { heatmap } = overview;
  const mean = (value: number) =>
    ratio ? format.percent(value) : heatmap.perHour(format.decimal(value, 2));
  const cell = ({ total, hours, perHour }: Cell) => {
    if (hours === 0) return heatmap.outside;
    if (perHour === null || total === null) return overview.nothing;
    if (ratio) return mean(perHour);
    return `${mean(perHour)} (${heatmap.total(format.count(total), format.decimal(hours))})`;
  };
  return {
    mean,
    cell,
    total: (value: number | null) =>
      formatValue(value, { unit: ratio ? 'ratio' : 'count', stat: 'count' }, format),
  };
}

interface TableProps {
  rows: readonly HeatRow[];
  say: ReturnType<typeof sayer>;
  hourRange: (hour: number) => string;
  title: string;
}

function HeatTable({ rows, say, hourRange, title }: TableProps) {
  const { overview } = useTexts();
  const format = useFormat();
  const flat = rows.flatMap((row) =>
    row.cells.map((cell, hour) => ({ ...cell, hour, weekday: row.weekday })),
  );
  return (
    <Table
      caption={`${title}: ${overview.heatmap.title}`}
      rows={flat}
      rowKey={(row) => `${String(row.weekday)} ${String(row.hour)}`}
      columns={[
        {
          key: 'day',
          header: overview.heatmap.weekday,
          cell: (row) => weekdayName(row.weekday, format.language, 'long'),
        },
        { key: 'hour', header: overview.heatmap.hourColumn, cell: (row) => hourRange(row.hour) },
        {
          key: 'total',
          header: overview.heatmap.totalColumn,
          numeric: true,
          cell: (row) => say.total(row.total),
        },
        {
          key: 'hours',
          header: overview.heatmap.hours,
          numeric: true,
          cell: (row) => format.decimal(row.hours),
        },
        {
          key: 'mean',
          header: title,
          numeric: true,
          cell: (row) => (row.perHour === null ? overview.nothing : say.mean(row.perHour)),
        },
      ]}
    />
  );
}
