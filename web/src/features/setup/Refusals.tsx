import { Link } from '@tanstack/react-router';
import type { Refusal } from '../../api/setup';
import { Table, type Column } from '../../components/Table';
import { Time } from '../../components/Time';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import layout from '../../components/layout.module.css';

/** Refused deliveries by reason, with what to do about each. */
export function Refusals({ refusals }: { refusals: readonly Refusal[] }) {
  const { setup } = useTexts();
  const format = useFormat();
  const names: Record<string, string> = setup.reasons;
  const columns: Column<Refusal>[] = [
    {
      key: 'reason',
      header: setup.refusal.reason,
      cell: ({ reason }) => names[reason] ?? reason,
    },
    {
      key: 'count',
      header: setup.refusal.count,
      numeric: true,
      cell: ({ count }) => format.count(count),
    },
    {
      key: 'last',
      header: setup.refusal.last,
      cell: ({ last_at }) => <Time value={last_at} shape="relative" />,
    },
    {
      key: 'advice',
      header: setup.refusal.advice,
      cell: (refusal) => <Advice refusal={refusal} />,
    },
  ];
  return (
    <section className={layout.section}>
      <h2>{setup.refusals}</h2>
      {refusals.length === 0 ? (
        <p className={layout.muted}>{setup.noRefusals}</p>
      ) : (
        <Table
          caption={setup.refusals}
          columns={columns}
          rows={refusals}
          rowKey={({ reason }) => reason}
          stacked
        />
      )}
    </section>
  );
}

function Advice({ refusal }: { refusal: Refusal }) {
  const { setup } = useTexts();
  const advice: Record<string, string> = setup.reasonAdvice;
  return (
    <>
      {advice[refusal.reason] ?? refusal.advice}{' '}
      {refusal.reason === 'unreadable_delivery' && (
        <Link to="/deliveries" search={{ outcome: ['quarantined'] }}>
          {setup.quarantined}
        </Link>
      )}
    </>
  );
}
