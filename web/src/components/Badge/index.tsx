import type { ReactNode } from 'react';
import styles from './Badge.module.css';

export type Tone = 'neutral' | 'success' | 'warning' | 'danger' | 'accent';

/** A short word about a thing. */
export function Badge({ tone = 'neutral', children }: { tone?: Tone; children: ReactNode }) {
  return <span className={`${styles.badge ?? ''} ${styles[tone] ?? ''}`}>{children}</span>;
}

interface DotProps {
  tone: Tone;
  label: string;
  /** Shows the dot alone; the label is a tooltip and the name. */
  labelHidden?: boolean;
}

/** A dot with its meaning in words. Shapes differ as well as colours: live is full, ended is a ring. */
export function StatusDot({ tone, label, labelHidden = false }: DotProps) {
  return (
    <span className={styles.status} title={labelHidden ? label : undefined}>
      <span className={`${styles.dot ?? ''} ${styles[tone] ?? ''}`} aria-hidden="true" />
      <span className={labelHidden ? 'visually-hidden' : undefined}>{label}</span>
    </span>
  );
}
