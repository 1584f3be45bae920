import { getErasures, type Receipt } from '../../api/generated';
import { queryKeys } from '../../api/keys';
import { usePages } from '../../api/use-pages';
import { Button } from '../../components/Button';
import { CopyButton } from '../../components/CopyButton';
import { ErrorNotice } from '../../components/Notice';
import { Skeleton } from '../../components/Skeleton';
import { Table, type Column } from '../../components/Table';
import { Time } from '../../components/Time';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import { totalRows } from './receipt';
import { Rows } from './ReceiptView';
import layout from '../../components/layout.module.css';
import styles from './retention.module.css';
import { whatText } from './what';

/** Receipts of all erasures, the latest first. */
export function Erasures() {
  const { retention } = useTexts();
  const { query, rows } = usePages({
    queryKey: queryKeys.erasures,
    load: async (page, signal) => (await getErasures({ query: page, signal })).data,
  });
  return (
    <section className={layout.section}>
      <h2>{retention.erasures}</h2>
      {query.isPending && <Skeleton rows={3} />}
      {query.isError && (
        <ErrorNotice error={query.error} onRetry={() => void query.refetch()} level={3} />
      )}
      {query.isSuccess && rows.length === 0 && <p>{retention.noErasures}</p>}
      {rows.length > 0 && <ErasureTable rows={rows} />}
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

function ErasureTable({ rows }: { rows: readonly Receipt[] }) {
  const { retention } = useTexts();
  const columns: Column<Receipt>[] = [
    {
      key: 'at',
      header: retention.erasedAt,
      cell: ({ erased_at, finished_at }) => (
        <>
          <Time value={erased_at} />
          {!finished_at && <div className={layout.muted}>{retention.unfinished}</div>}
        </>
      ),
    },
    {
      key: 'what',
      header: retention.what,
      cell: (receipt) => (
        <>
          <bdi>{whatText(receipt, retention)}</bdi>
          <div className={layout.muted}>
            <bdi>{receipt.agent_id}</bdi>
          </div>
        </>
      ),
    },
    { key: 'rows', header: retention.rows, cell: (receipt) => <RowDetail receipt={receipt} /> },
    {
      key: 'id',
      header: retention.receiptId,
      cell: ({ id }) => (
        <span className={styles.id}>
          {id}
          <CopyButton text={id} iconOnly />
        </span>
      ),
    },
  ];
  return (
    <Table
      caption={retention.erasures}
      columns={columns}
      rows={rows}
      rowKey={({ id }) => id}
      stacked
    />
  );
}

function RowDetail({ receipt }: { receipt: Receipt }) {
  const { retention } = useTexts();
  const format = useFormat();
  return (
    <details className={styles.details}>
      <summary>{retention.total(format.count(totalRows(receipt)))}</summary>
      <Rows receipt={receipt} />
    </details>
  );
}
