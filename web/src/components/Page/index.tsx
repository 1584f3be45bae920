import type { ReactNode } from 'react';
import { useTitle } from '../../app/use-title';
import styles from './Page.module.css';

interface Props {
  title: string;
  /** Controls beside the heading. */
  actions?: ReactNode;
  children: ReactNode;
}

/** The frame of a view that scrolls as a whole: heading, controls, content. */
export function Page({ title, actions, children }: Props) {
  useTitle(title);
  return (
    <div className={styles.page}>
      <header className={styles.header}>
        <h1>{title}</h1>
        <div className={styles.actions}>{actions}</div>
      </header>
      {children}
    </div>
  );
}
