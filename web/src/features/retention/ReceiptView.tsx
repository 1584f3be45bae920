import type { Receipt } from '../../api/generated';
import { CopyButton } from '../../components/CopyButton';
import { Facts } from '../../components/Facts';
import { Time } from '../../components/Time';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import { rowsByTable } from './receipt';
import styles from './retention.module.css';
import { whatText } from './what';

/** The receipt of an erasure that was just made. */
export function ReceiptView({ receipt }: { receipt: Receipt }) {
  const { retention } = useTexts();
  return (
    <section className={styles.receipt} role="status">
      <h3>{retention.receipt}</h3>
      <p>{retention.receiptHelp}</p>
      <Facts
        facts={[
          { name: retention.receiptId, value: receipt.id },
          { name: retention.what, value: <bdi>{whatText(receipt, retention)}</bdi> },
          { name: retention.agent, value: <bdi>{receipt.agent_id}</bdi> },
          { name: retention.erasedAt, value: <Time value={receipt.erased_at} shape="full" /> },
          {
            name: retention.finished,
            value: receipt.finished_at ? (
              <Time value={receipt.finished_at} shape="full" />
            ) : (
              retention.unfinished
            ),
          },
        ]}
      />
      <h4>{retention.rowsByTable}</h4>
      <Rows receipt={receipt} />
      <CopyButton text={() => JSON.stringify(receipt, null, 2)} label={retention.copyReceipt} />
    </section>
  );
}

/** Numbers of rows by table. */
export function Rows({ receipt }: { receipt: Receipt }) {
  const format = useFormat();
  const facts = rowsByTable(receipt).map(([name, rows]) => ({ name, value: format.count(rows) }));
  return <Facts facts={facts} />;
}
