import { line } from 'd3-shape';
import styles from './charts.module.css';

const WIDTH = 100;
const HEIGHT = 28;

/** A line without axes: the shape of what the figure beside it says. */
export function Sparkline({ values }: { values: readonly (number | null)[] }) {
  const highest = Math.max(...values.map((value) => value ?? 0), 0);
  const path = line<number | null>()
    .defined((value) => value !== null)
    .x((_, index) => (values.length < 2 ? 0 : (index / (values.length - 1)) * WIDTH))
    .y((value) => HEIGHT - 1 - (highest === 0 ? 0 : ((value ?? 0) / highest) * (HEIGHT - 3)));
  return (
    <svg
      viewBox={`0 0 ${String(WIDTH)} ${String(HEIGHT)}`}
      preserveAspectRatio="none"
      className={styles.spark}
      aria-hidden="true"
      focusable="false"
    >
      <path d={path([...values]) ?? ''} />
    </svg>
  );
}
