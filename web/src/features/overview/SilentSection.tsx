import { urlWith } from '../../api/request';
import { BarList } from '../../components/charts/BarList';
import { ChartFrame } from '../../components/charts/ChartFrame';
import { Table } from '../../components/Table';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import { topQuery, useTop } from './api';
import { NOTHING } from './figures';
import { silentAgents } from './silent';
import { topSql, type SqlScope } from './sql';
import { stateOf } from './state';
import { useOpenConversations } from './use-open';
import { useOverview } from './use-overview';

const HEIGHT_PX = 200;
const MOST_BARS = 8;

/** Which agents somebody comes to and says nothing: a dead microphone shows here. */
export default function SilentSection({ scope }: { scope: SqlScope | undefined }) {
  const { overview } = useTexts();
  const format = useFormat();
  const { search, query } = useOverview();
  const open = useOpenConversations(search);
  const request = { query, by: 'agent', metric: 'silent_rate', stat: 'ratio', limit: 100 } as const;
  const loaded = useTop(request);
  const { rows, silent, sessions, worst } = silentAgents(
    loaded.data?.data ?? [],
    loaded.data?.other,
  );
  const percent = (value: number | null) => (value === null ? NOTHING : format.percent(value));
  return (
    <ChartFrame
      title={overview.silent.title}
      summary={[
        overview.silent.summary(
          format.count(silent),
          format.count(sessions),
          percent(sessions === 0 ? null : silent / sessions),
        ),
        worst === null ? '' : overview.silent.worst(worst.agent, percent(worst.rate)),
      ].join(' ')}
      state={stateOf(loaded, () => silent === 0)}
      height={HEIGHT_PX}
      emptyText={overview.silent.empty}
      csv={{ href: urlWith('/v1/analytics/top', { ...topQuery(request), format: 'csv' }) }}
      sql={
        scope && {
          title: overview.silent.title,
          query: topSql('agent', 'silent_rate', 'ratio', scope, request.limit),
        }
      }
      table={
        <Table
          caption={overview.chart.tableOf(overview.silent.title)}
          rows={rows}
          rowKey={(row) => row.agent}
          columns={[
            { key: 'agent', header: overview.silent.agent, cell: (row) => row.agent },
            {
              key: 'silent',
              header: overview.silent.silent,
              numeric: true,
              cell: (row) => format.count(row.silent),
            },
            {
              key: 'sessions',
              header: overview.silent.sessions,
              numeric: true,
              cell: (row) => format.count(row.sessions),
            },
            {
              key: 'rate',
              header: overview.silent.rate,
              numeric: true,
              cell: (row) => percent(row.rate),
            },
          ]}
        />
      }
    >
      {() => (
        <BarList
          label={overview.silent.title}
          max={Math.max(...rows.map((row) => row.rate ?? 0))}
          bars={rows.slice(0, MOST_BARS).map((row) => ({
            key: row.agent,
            name: row.agent,
            value: row.rate ?? 0,
            text: percent(row.rate),
            more: overview.of(format.count(row.silent), format.count(row.sessions)),
            open: open && {
              label: overview.top.open(row.agent),
              run: () => {
                open({ agent: [row.agent], silent: true });
              },
            },
          }))}
        />
      )}
    </ChartFrame>
  );
}
