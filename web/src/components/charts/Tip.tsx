import { useLayoutEffect, useRef } from 'react';
import styles from './charts.module.css';
import { clamp } from './scales';

interface Props {
  /** Where the place is that it tells about, in pixels from the chart's left edge. */
  x: number;
  heading: string;
  rows: readonly { label: string; value: string }[];
}

const GAP_PX = 12;

/** Values of a place beside it. What it says is also announced, so it is hidden from screen readers. */
export function Tip({ x, heading, rows }: Props) {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const tip = ref.current;
    const parent = tip?.parentElement;
    if (!tip || !parent) return;
    const room = parent.clientWidth;
    const right = x + GAP_PX + tip.offsetWidth <= room;
    const left = right ? x + GAP_PX : x - GAP_PX - tip.offsetWidth;
    tip.style.left = `${String(clamp(left, 0, Math.max(0, room - tip.offsetWidth)))}px`;
  });
  return (
    <div ref={ref} className={styles.tip} aria-hidden="true">
      <p>{heading}</p>
      <dl>
        {rows.map((row) => (
          <div key={row.label} style={{ display: 'contents' }}>
            <dt dir="auto">{row.label}</dt>
            <dd>{row.value}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
