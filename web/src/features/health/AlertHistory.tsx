import { getAlertsHistory, type AlertEvent } from '../../api/generated';
import { queryKeys } from '../../api/keys';
import { usePages } from '../../api/use-pages';
import { Badge } from '../../components/Badge';
import { Button } from '../../components/Button';
import { ErrorNotice } from '../../components/Notice';
import { Skeleton } from '../../components/Skeleton';
import { Table, type Column } from '../../components/Table';
import { Time } from '../../components/Time';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import layout from '../../components/layout.module.css';

const PAGE_ROWS = 20;

/** Notifications of all alerts, the latest first. */
export function AlertHistory() {
  const { health } = useTexts();
  const { query, rows } = usePages({
    queryKey: queryKeys.alertHistory,
    load: async (page, signal) =>
      (await getAlertsHistory({ query: { ...page, limit: PAGE_ROWS }, signal })).data,
  });
  return (
    <>
      <h3>{health.history}</h3>
      {query.isPending && <Skeleton rows={2} />}
      {query.isError && (
        <ErrorNotice error={query.error} onRetry={() => void query.refetch()} level={3} />
      )}
      {query.isSuccess && rows.length === 0 && <p className={layout.muted}>{health.noHistory}</p>}
      {rows.length > 0 && <Events events={rows} />}
      {query.hasNextPage && (
        <Button
          className={layout.start}
          busy={query.isFetchingNextPage}
          onClick={() => void query.fetchNextPage()}
        >
          {health.more}
        </Button>
      )}
    </>
  );
}

function Events({ events }: { events: AlertEvent[] }) {
  const { health } = useTexts();
  const kinds: Record<string, string> = health.kinds;
  const columns: Column<AlertEvent>[] = [
    { key: 'at', header: health.columns.at, cell: ({ at }) => <Time value={at} /> },
    { key: 'name', header: health.columns.alert, cell: ({ name }) => name },
    {
      key: 'kind',
      header: health.columns.kind,
      cell: ({ kind }) => (
        <Badge tone={kind === 'firing' ? 'danger' : 'success'}>{kinds[kind] ?? kind}</Badge>
      ),
    },
    { key: 'summary', header: health.columns.summary, cell: ({ summary }) => summary },
    {
      key: 'delivery',
      header: health.columns.delivery,
      cell: (event) => <Sent event={event} />,
    },
  ];
  return (
    <Table
      caption={health.history}
      columns={columns}
      rows={events}
      rowKey={({ id }) => id}
      stacked
    />
  );
}

function Sent({ event }: { event: AlertEvent }) {
  const { health } = useTexts();
  const format = useFormat();
  const names: Record<string, string> = health.sent;
  const name = names[event.delivery] ?? event.delivery;
  if (event.delivery === 'delivered') return name;
  return (
    <>
      {name} · {health.attempts(format.count(event.attempts))}
      {event.last_error && <div className={layout.muted}>{event.last_error}</div>}
    </>
  );
}
