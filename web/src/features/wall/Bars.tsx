import styles from './wall.module.css';

export interface WallBar {
  key: string;
  /** Empty where there is no room for one. */
  tick: string;
  value: number;
  /** The time that is now. */
  here: boolean;
}

interface Props {
  title: string;
  bars: readonly WallBar[];
  /** Shown where all values are zero. */
  none: string;
  format: (value: number) => string;
}

/** Columns without axes; the highest has its value above it, and so has the current one. */
export function Bars({ title, bars, none, format }: Props) {
  const max = Math.max(0, ...bars.map((bar) => bar.value));
  const total = bars.reduce((sum, bar) => sum + bar.value, 0);
  const highest = bars.findIndex((bar) => bar.value === max && max > 0);
  return (
    <figure className={styles.chart}>
      <figcaption>
        {title}
        {bars.length > 0 && total === 0 && <span className={styles.none}> · {none}</span>}
      </figcaption>
      <div role="img" aria-label={`${title}: ${format(total)}`} className={styles.bars}>
        {bars.map((bar, index) => (
          <div key={bar.key} className={styles.slot}>
            <span className={styles.barValue}>
              {index === highest || (bar.here && bar.value > 0) ? format(bar.value) : '\u00a0'}
            </span>
            <span className={styles.track}>
              <span
                className={`${styles.bar ?? ''} ${bar.here ? (styles.here ?? '') : ''}`}
                style={{ height: `${String(max === 0 ? 0 : (bar.value / max) * 100)}%` }}
              />
            </span>
            <span className={styles.tick}>{bar.tick === '' ? '\u00a0' : bar.tick}</span>
          </div>
        ))}
      </div>
    </figure>
  );
}
