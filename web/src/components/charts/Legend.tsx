import type { ChartSeries } from './LineChart';
import styles from './charts.module.css';

/** Names of the series in the order in which they are drawn and read. */
export function Legend({ series }: { series: readonly ChartSeries[] }) {
  return (
    <ul className={`${styles.chart ?? ''} ${styles.legend ?? ''}`}>
      {series.map((one, index) => (
        <li key={one.key} dir="auto">
          <svg width="20" height="8" aria-hidden="true" focusable="false">
            <line
              x1="1"
              x2="19"
              y1="4"
              y2="4"
              className={`${styles.line ?? ''} ${one.before === true ? (styles.before ?? '') : ''}`}
              style={one.before === true ? {} : { stroke: `var(--series-${String(index % 5)})` }}
            />
          </svg>
          {one.label}
        </li>
      ))}
    </ul>
  );
}
