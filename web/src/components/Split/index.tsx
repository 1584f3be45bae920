import type { ReactNode } from 'react';
import styles from './Split.module.css';

interface Props {
  /** Heading of the view. It stays where a phone hides the list, which shows it. */
  title: string;
  list: ReactNode;
  pane: ReactNode;
  /** Something is chosen: a narrow page shows the pane instead of the list. */
  detail: boolean;
}

/** A list and a reading pane: side by side from 1,000 px, one at a time on a phone. */
export function Split({ title, list, pane, detail }: Props) {
  return (
    <div className={styles.split} data-detail={detail}>
      <h1 className="visually-hidden">{title}</h1>
      <div className={styles.list}>{list}</div>
      <div className={styles.pane}>{pane}</div>
    </div>
  );
}
