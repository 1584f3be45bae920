import type { Texts } from '../../texts';
import { numberIn, type Row } from './query';

/** A bin of a histogram with its names. */
export interface Bin {
  lower: number | null;
  upper: number | null;
  count: number;
  label: string;
  tick: string;
}

/** Returns the bins of flat rows. */
export function binsOf(
  rows: readonly Row[],
  say: (value: number) => string,
  texts: Texts['overview']['distribution'],
  whole = false,
): Bin[] {
  return rows.map((row) => {
    const lower = numberIn(row, 'lower');
    const upper = numberIn(row, 'upper');
    return {
      lower,
      upper,
      count: numberIn(row, 'count') ?? 0,
      label: (whole ? wholeName(lower, upper, say) : null) ?? binName(lower, upper, say, texts),
      tick: tickName(lower, upper, say, whole),
    };
  });
}

function binName(
  lower: number | null,
  upper: number | null,
  say: (value: number) => string,
  texts: Texts['overview']['distribution'],
): string {
  if (upper === null) return texts.from(say(lower ?? 0));
  if (lower === null || lower === 0) return texts.below(say(upper));
  return texts.range(say(lower), say(upper));
}

function tickName(
  lower: number | null,
  upper: number | null,
  say: (value: number) => string,
  whole: boolean,
): string {
  if (lower === null) return '';
  if (upper === null) return `≥ ${say(lower)}`;
  return (whole ? wholeName(lower, upper, say) : null) ?? say(lower);
}

/** Whole numbers between edges have a shorter name: 3 to under 5 is 3–4. */
function wholeName(
  lower: number | null,
  upper: number | null,
  say: (value: number) => string,
): string | null {
  if (lower === null || upper === null) return null;
  const first = Math.ceil(lower);
  const last = Math.ceil(upper) - 1;
  if (last < first) return null;
  return last === first ? say(first) : `${say(first)}–${say(last)}`;
}
