import type { ReactNode } from 'react';
import { StatusDot, type Tone } from '../Badge';
import styles from './StatusList.module.css';

export interface StatusItem {
  key: string;
  tone: Tone;
  /** The meaning of the dot in words. */
  status: string;
  text: ReactNode;
  /** What to do, or more about it. */
  help?: ReactNode;
}

/** Things with a state each, one below the other: what is so, and what to do. */
export function StatusList({ items }: { items: readonly StatusItem[] }) {
  return (
    <ul className={styles.list}>
      {items.map((item) => (
        <li key={item.key}>
          <StatusDot tone={item.tone} label={item.status} labelHidden />
          <div className={styles.text}>
            <div>{item.text}</div>
            {item.help !== undefined && <div className={styles.help}>{item.help}</div>}
          </div>
        </li>
      ))}
    </ul>
  );
}
