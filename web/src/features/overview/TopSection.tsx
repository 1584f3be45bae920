import { urlWith } from '../../api/request';
import type { Metric } from '../../api/generated';
import { BarList, type Bar } from '../../components/charts/BarList';
import { ChartFrame } from '../../components/charts/ChartFrame';
import { Select } from '../../components/Field';
import { Table } from '../../components/Table';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import { topQuery, useTop } from './api';
import { formatValue } from './figures';
import { numberIn, textIn, type MetricName } from './query';
import type { TopBy } from './search';
import { topSql, type SqlScope } from './sql';
import { stateOf } from './state';
import { useMetricTexts } from './use-overview';
import { TOP_LIMIT, useTopChoice } from './use-top-choice';

const HEIGHT_PX = 240;
const COLUMNS = {
  agent: 'agent_id',
  source: 'source',
  room: 'room_name',
  first_message: 'first_message',
} as const satisfies Record<TopBy, string>;

/** The largest groups by a metric: agents, rooms, sources; first messages for a key that sees text. */
export default function TopSection({
  catalog,
  scope,
}: {
  catalog: readonly Metric[];
  scope: SqlScope | undefined;
}) {
  const { overview } = useTexts();
  const format = useFormat();
  const textsOf = useMetricTexts();
  const chosen = useTopChoice(catalog);
  const { by, metric, metrics, request, change, openGroup, kinds } = chosen;
  const loaded = useTop(request);
  const stat = request.stat;
  const say = (value: number | null) => formatValue(value, { unit: metric.unit, stat }, format);
  const { label } = textsOf(metric);
  const title = `${overview.top.tabs[by]}: ${label}`;
  const rows = (loaded.data?.data ?? []).map((row, index) => ({
    key: textIn(row, COLUMNS[by]) ?? `none ${String(index)}`,
    name: textIn(row, COLUMNS[by]),
    value: numberIn(row, metric.name),
  }));
  const others = {
    groups: numberIn(loaded.data?.other, 'groups') ?? 0,
    value: numberIn(loaded.data?.other, metric.name),
  };
  const total = metric.additive
    ? rows.reduce((sum, row) => sum + (row.value ?? 0), others.value ?? 0)
    : null;
  const share = (value: number | null) =>
    total === null || total === 0 || value === null ? undefined : format.percent(value / total);
  const nameOf = (name: string | null) => name ?? overview.top.none[by];
  const bars: Bar[] = [
    ...rows.map((row) => ({
      key: row.key,
      name: nameOf(row.name),
      value: row.value ?? 0,
      text: say(row.value),
      ...optional('more', share(row.value)),
      open: openGroup(row.name, overview.top.open(nameOf(row.name))),
    })),
    ...(others.groups > 0
      ? [
          {
            key: 'others',
            name: overview.top.other(format.count(others.groups)),
            value: 0,
            text: say(others.value),
            ...optional('more', share(others.value)),
            muted: true,
          },
        ]
      : []),
  ];
  const first = rows[0];
  return (
    <ChartFrame
      title={overview.top.title}
      summary={
        first === undefined
          ? ''
          : `${title}. ${overview.top.summary(nameOf(first.name), say(first.value))}`
      }
      controls={
        <>
          <Select
            label={overview.top.by}
            labelHidden
            value={by}
            options={kinds.map((one) => ({ value: one, label: overview.top.tabs[one] }))}
            onChange={(value) => {
              change({ top: value });
            }}
          />
          <Select
            label={overview.top.metric}
            labelHidden
            value={metric.name}
            options={metrics.map((one) => ({ value: one.name, label: textsOf(one).label }))}
            onChange={(value) => {
              change({ rank: value });
            }}
          />
        </>
      }
      state={stateOf(loaded, (data) => data.data.length === 0)}
      height={HEIGHT_PX}
      csv={{ href: urlWith('/v1/analytics/top', { ...topQuery(request), format: 'csv' }) }}
      sql={scope && { title, query: topSql(by, metric.name as MetricName, stat, scope, TOP_LIMIT) }}
      table={
        <Table
          caption={title}
          rows={bars}
          rowKey={(row) => row.key}
          columns={[
            {
              key: 'name',
              header: overview.top.columns[by],
              cell: (row) => <span dir="auto">{row.name}</span>,
            },
            { key: 'value', header: label, numeric: true, cell: (row) => row.text },
            ...(total === null
              ? []
              : [
                  {
                    key: 'share',
                    header: overview.distribution.part,
                    numeric: true,
                    cell: (row: Bar) => row.more ?? '',
                  },
                ]),
          ]}
        />
      }
    >
      {() => (
        <BarList label={title} bars={bars} max={Math.max(...rows.map((row) => row.value ?? 0))} />
      )}
    </ChartFrame>
  );
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
}
