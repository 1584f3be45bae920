import { Fragment, type ReactNode } from 'react';
import styles from './Facts.module.css';

export interface Fact {
  name: string;
  /** Left out with its name where it is null or undefined. */
  value: ReactNode;
}

/** Names and values, one pair a line. */
export function Facts({ facts }: { facts: readonly Fact[] }) {
  return (
    <dl className={styles.facts}>
      {facts
        .filter(({ value }) => value !== null && value !== undefined)
        .map(({ name, value }) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </Fragment>
        ))}
    </dl>
  );
}
