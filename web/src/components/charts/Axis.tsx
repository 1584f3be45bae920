import styles from './charts.module.css';

export interface Margins {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Width of a character of an axis' label, in pixels, at its largest. */
const CHARACTER_PX = 8;
const LEAST_LEFT_PX = 24;

/** Returns the room around a plot whose value axis has these labels. */
export function marginsFor(labels: readonly string[]): Margins {
  const longest = Math.max(0, ...labels.map((label) => label.length));
  const left = Math.max(LEAST_LEFT_PX, longest * CHARACTER_PX + 8);
  return { left, right: 8, top: 10, bottom: 24 };
}

interface ValueAxisProps {
  ticks: readonly number[];
  format: (value: number) => string;
  y: (value: number) => number;
  from: number;
  to: number;
}

/** Horizontal lines with their values. */
export function ValueAxis({ ticks, format, y, from, to }: ValueAxisProps) {
  return ticks.map((tick) => (
    <g key={tick}>
      <line
        x1={from}
        x2={to}
        y1={Math.round(y(tick))}
        y2={Math.round(y(tick))}
        className={styles.grid}
      />
      <text x={from - 8} y={y(tick)} dy="0.32em" textAnchor="end" className={styles.tick}>
        {format(tick)}
      </text>
    </g>
  ));
}

interface PlaceAxisProps {
  labels: readonly { at: number; text: string }[];
  y: number;
  /** The plot's edges, within which labels stay. */
  from: number;
  to: number;
}

/** Labels below a plot; the first and the last stay within it. */
export function PlaceAxis({ labels, y, from, to }: PlaceAxisProps) {
  return labels.map(({ at, text }) => (
    <text
      key={`${String(at)} ${text}`}
      x={at}
      y={y}
      textAnchor={anchorOf(at, text.length * CHARACTER_PX, from, to)}
      className={styles.tick}
    >
      {text}
    </text>
  ));
}

function anchorOf(at: number, width: number, from: number, to: number): 'start' | 'middle' | 'end' {
  if (at - width / 2 < from - 8) return 'start';
  return at + width / 2 > to + 8 ? 'end' : 'middle';
}
