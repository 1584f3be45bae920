import { useMemo, useState } from 'react';
import type { WholeDelivery } from '../../api/generated';
import { CopyButton } from '../../components/CopyButton';
import { Tabs } from '../../components/Tabs';
import { useTexts } from '../../texts';
import { decodeBase64, prettyJson } from './body';
import layout from '../../components/layout.module.css';
import styles from './deliveries.module.css';
import { HexView } from './HexView';

type Shape = 'pretty' | 'exact' | 'hex';

/** The bytes that arrived: indented, exactly as text, or in hexadecimal. */
export function Body({ delivery }: { delivery: WholeDelivery }) {
  const { deliveries } = useTexts();
  const text = delivery.body ?? null;
  const pretty = useMemo(() => (text === null ? null : prettyJson(text)), [text]);
  const [chosen, setChosen] = useState<Shape | null>(null);
  const shape = chosen ?? (text === null ? 'hex' : pretty === null ? 'exact' : 'pretty');
  return (
    <section className={layout.section}>
      <div className={styles.bodyHead}>
        <h3>{deliveries.body}</h3>
        {text !== null && text !== '' && <CopyButton text={text} label={deliveries.copyBody} />}
      </div>
      <div>
        <Tabs
          label={deliveries.bodyShape}
          value={shape}
          tabs={(['pretty', 'exact', 'hex'] as const).map((value) => ({
            value,
            label: deliveries[value],
          }))}
          onChange={setChosen}
        >
          {shape === 'pretty' && <Text text={pretty} missing={deliveries.notJson} />}
          {shape === 'exact' && <Text text={text} missing={deliveries.notText} />}
          {shape === 'hex' && <Bytes base64={delivery.body_base64} />}
        </Tabs>
      </div>
    </section>
  );
}

function Text({ text, missing }: { text: string | null; missing: string }) {
  const { deliveries } = useTexts();
  if (text === null) return <p className={styles.missing}>{missing}</p>;
  if (text === '') return <p className={styles.missing}>{deliveries.redacted}</p>;
  return <pre className={styles.code}>{text}</pre>;
}

function Bytes({ base64 }: { base64: string }) {
  const bytes = useMemo(() => decodeBase64(base64), [base64]);
  return <HexView bytes={bytes} />;
}
