import { clamp } from './scales';

/** Place in a chart: a row is a series, or a line of a heatmap; a column is a point. */
export interface Place {
  row: number;
  column: number;
}

export interface Extent {
  rows: number;
  columns: number;
}

/** Part of the columns that Page Up and Page Down skip. */
const PAGE = 10;

/** Returns the place that a key leads to, or null for a key that does not move. */
export function moveReading(key: string, from: Place | null, extent: Extent): Place | null {
  const { rows, columns } = extent;
  if (rows === 0 || columns === 0) return null;
  const moved = step(key, from ?? { row: 0, column: columns - 1 }, extent);
  if (moved === null) return null;
  // The first key after the chart got the focus reads where one is, and does not move on.
  const target = from === null && (key === 'ArrowLeft' || key === 'ArrowRight') ? null : moved;
  const place = target ?? { row: 0, column: columns - 1 };
  return { row: clamp(place.row, 0, rows - 1), column: clamp(place.column, 0, columns - 1) };
}

function step(key: string, { row, column }: Place, { columns }: Extent): Place | null {
  const page = Math.max(1, Math.round(columns / PAGE));
  switch (key) {
    case 'ArrowLeft':
      return { row, column: column - 1 };
    case 'ArrowRight':
      return { row, column: column + 1 };
    case 'ArrowUp':
      return { row: row - 1, column };
    case 'ArrowDown':
      return { row: row + 1, column };
    case 'PageUp':
      return { row, column: column - page };
    case 'PageDown':
      return { row, column: column + page };
    case 'Home':
      return { row, column: 0 };
    case 'End':
      return { row, column: columns - 1 };
    default:
      return null;
  }
}
