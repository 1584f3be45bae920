import type { Latency } from '../../api/setup';
import { Table, type Column } from '../../components/Table';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import layout from '../../components/layout.module.css';

/** Times of answers, of `room.join` and of everything else. */
export function LatencyTable({ latency }: { latency: readonly Latency[] }) {
  const { health } = useTexts();
  const format = useFormat();
  const names: Record<string, string> = health.latencyEvents;
  const column = (key: 'p50' | 'p90' | 'p99' | 'max'): Column<Latency> => ({
    key,
    header: health.latencyColumns[key],
    numeric: true,
    cell: (row) => `${format.decimal(row[`${key}_ms`])} ms`,
  });
  return (
    <section className={layout.section}>
      <h2>{health.latency}</h2>
      <p className={layout.muted}>{health.latencyHelp}</p>
      {latency.every(({ count }) => count === 0) ? (
        <p>{health.latencyNone}</p>
      ) : (
        <Table
          caption={health.latency}
          rows={latency.filter(({ count }) => count > 0)}
          rowKey={({ event }) => event}
          columns={[
            {
              key: 'event',
              header: health.latencyColumns.event,
              cell: ({ event }) => names[event] ?? event,
            },
            {
              key: 'count',
              header: health.latencyColumns.count,
              numeric: true,
              cell: ({ count }) => format.count(count),
            },
            column('p50'),
            column('p90'),
            column('p99'),
            column('max'),
          ]}
        />
      )}
    </section>
  );
}
