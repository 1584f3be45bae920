import { getHolds, type Hold } from '../../api/generated';
import { queryKeys } from '../../api/keys';
import { usePages } from '../../api/use-pages';
import { Button } from '../../components/Button';
import { ErrorNotice } from '../../components/Notice';
import { Skeleton } from '../../components/Skeleton';
import { Table, type Column } from '../../components/Table';
import { Time } from '../../components/Time';
import { useTexts } from '../../texts';
import { ReleaseHold } from './ReleaseHold';
import layout from '../../components/layout.module.css';
import { whatText } from './what';

/** What is held, with a button to release each. */
export function Holds() {
  const { retention } = useTexts();
  const { query, rows } = usePages({
    queryKey: queryKeys.holds,
    load: async (page, signal) => (await getHolds({ query: page, signal })).data,
  });
  return (
    <section className={layout.section}>
      <h2>{retention.holds}</h2>
      <p className={layout.muted}>{retention.holdsHelp}</p>
      {query.isPending && <Skeleton rows={2} />}
      {query.isError && (
        <ErrorNotice error={query.error} onRetry={() => void query.refetch()} level={3} />
      )}
      {query.isSuccess && rows.length === 0 && <p>{retention.noHolds}</p>}
      {rows.length > 0 && <HoldTable rows={rows} />}
      {query.hasNextPage && (
        <Button
          className={layout.start}
          busy={query.isFetchingNextPage}
          onClick={() => void query.fetchNextPage()}
        >
          {retention.more}
        </Button>
      )}
    </section>
  );
}

function HoldTable({ rows }: { rows: readonly Hold[] }) {
  const { retention } = useTexts();
  const columns: Column<Hold>[] = [
    { key: 'what', header: retention.what, cell: (hold) => <bdi>{whatText(hold, retention)}</bdi> },
    { key: 'agent', header: retention.agent, cell: ({ agent_id }) => <bdi>{agent_id}</bdi> },
    {
      key: 'since',
      header: retention.heldSince,
      cell: ({ created_at }) => <Time value={created_at} />,
    },
    {
      key: 'release',
      header: retention.release,
      headerHidden: true,
      cell: (hold) => <ReleaseHold hold={hold} />,
    },
  ];
  return (
    <Table
      caption={retention.holds}
      columns={columns}
      rows={rows}
      rowKey={({ id }) => id}
      stacked
    />
  );
}
