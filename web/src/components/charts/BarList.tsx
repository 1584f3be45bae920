import styles from './BarList.module.css';

export interface Bar {
  key: string;
  name: string;
  value: number;
  /** The value in words, and a second figure beside it. */
  text: string;
  more?: string;
  /** It is none of the groups, such as all the others together. */
  muted?: boolean;
  /** Opens what is behind it. */
  open?: { label: string; run: () => void } | undefined;
}

/** Bars with names, longest first: a list that a screen reader reads as it is. */
export function BarList({
  label,
  bars,
  max,
}: {
  label: string;
  bars: readonly Bar[];
  max: number;
}) {
  return (
    <ol className={styles.list} aria-label={label}>
      {bars.map((bar) => (
        <li
          key={bar.key}
          className={`${styles.row ?? ''} ${bar.muted === true ? (styles.muted ?? '') : ''}`}
        >
          <div className={styles.bar}>
            <span
              className={styles.fill}
              style={{ width: `${String(max > 0 ? (bar.value / max) * 100 : 0)}%` }}
              aria-hidden="true"
            />
            {bar.open === undefined ? (
              <span className={styles.name} dir="auto" title={bar.name}>
                {bar.name}
              </span>
            ) : (
              <button
                type="button"
                className={`${styles.name ?? ''} ${styles.open ?? ''}`}
                dir="auto"
                title={bar.open.label}
                onClick={bar.open.run}
              >
                {bar.name}
              </button>
            )}
          </div>
          <span className={styles.value}>
            {bar.text}
            {bar.more !== undefined && <small>{bar.more}</small>}
          </span>
        </li>
      ))}
    </ol>
  );
}
