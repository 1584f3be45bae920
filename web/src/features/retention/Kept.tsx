import { useRetention, type KeptFor, type PlannedRows, type Retention } from '../../api/retention';
import { CopyButton } from '../../components/CopyButton';
import { Facts } from '../../components/Facts';
import { ErrorNotice } from '../../components/Notice';
import { Skeleton } from '../../components/Skeleton';
import { Table, type Column } from '../../components/Table';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import layout from '../../components/layout.module.css';
import styles from './retention.module.css';

const COMMAND = 'verbatim retention --dry-run';

/** How long things are kept, and what the next run drops. */
export function Kept() {
  const { retention } = useTexts();
  const query = useRetention();
  return (
    <section className={layout.section}>
      <h2>{retention.kept}</h2>
      <p className={layout.muted}>{retention.keptHelp}</p>
      {query.isPending && <Skeleton rows={3} />}
      {query.isError && (
        <ErrorNotice error={query.error} onRetry={() => void query.refetch()} level={3} />
      )}
      {query.data !== undefined && <Limits retention={query.data} />}
    </section>
  );
}

function Command() {
  const { retention } = useTexts();
  return (
    <>
      <p>{retention.previewUncounted}</p>
      <p className={styles.command}>
        <code>{COMMAND}</code>
        <CopyButton text={COMMAND} iconOnly />
      </p>
    </>
  );
}

function Limits({ retention }: { retention: Retention }) {
  const texts = useTexts().retention;
  const format = useFormat();
  return (
    <>
      <Facts
        facts={[
          { name: texts.conversations, value: <Days kept={retention.keep_messages} /> },
          { name: texts.deliveriesLog, value: <Days kept={retention.keep_deliveries} /> },
        ]}
      />
      <h3>{texts.preview}</h3>
      {retention.next_run_at && (
        <p className={layout.muted}>
          {texts.previewAt(format.relativeTime(retention.next_run_at))}
        </p>
      )}
      {retention.plan ? <Plan plan={retention.plan} /> : <Command />}
    </>
  );
}

function Days({ kept }: { kept: readonly KeptFor[] }) {
  const { retention } = useTexts();
  const format = useFormat();
  const text = ({ days }: KeptFor) =>
    days === null || days === undefined ? retention.forEver : retention.days(format.count(days));
  if (kept.length === 0) return retention.forEver;
  if (new Set(kept.map(text)).size === 1 && kept[0] !== undefined) return text(kept[0]);
  return kept.map((one) => <div key={one.source}>{`${one.source}: ${text(one)}`}</div>);
}

function Plan({ plan }: { plan: readonly PlannedRows[] }) {
  const { retention } = useTexts();
  const format = useFormat();
  if (plan.length === 0) return <p>{retention.previewNone}</p>;
  const columns: Column<PlannedRows>[] = [
    { key: 'table', header: retention.table, cell: ({ table }) => table },
    { key: 'source', header: retention.source, cell: ({ source }) => source },
    {
      key: 'rows',
      header: retention.rows,
      numeric: true,
      cell: ({ rows }) => format.count(rows),
    },
  ];
  return (
    <Table
      caption={retention.preview}
      columns={columns}
      rows={plan}
      rowKey={({ table, source }) => `${table} ${source}`}
    />
  );
}
