/** What a text about a series of values says: numbers and places, without words. */
export interface SeriesSummary {
  total: number;
  mean: number | null;
  highest: number | null;
  lowest: number | null;
  latest: number | null;
  trend: 'rising' | 'falling' | 'steady' | null;
}

/** Least change between the halves of a series that is a trend. */
const TREND = 0.1;
/** Values without which nothing is a trend. */
const TREND_VALUES = 4;

/** Summarises a series; nulls are no values. `counted` leaves out values of buckets that are not complete. */
export function summarize(
  values: readonly (number | null)[],
  counted: (index: number) => boolean = () => true,
): SeriesSummary {
  const known = values
    .map((value, index) => ({ value, index }))
    .filter((one): one is { value: number; index: number } => one.value !== null);
  const whole = known.filter((one) => counted(one.index));
  const compared = whole.length > 0 ? whole : known;
  const total = known.reduce((sum, one) => sum + one.value, 0);
  const best = (better: (a: number, b: number) => boolean) =>
    compared.reduce<{ value: number; index: number } | null>(
      (found, one) => (found === null || better(one.value, found.value) ? one : found),
      null,
    )?.index ?? null;
  return {
    total,
    mean: known.length === 0 ? null : total / known.length,
    highest: best((a, b) => a > b),
    lowest: best((a, b) => a < b),
    latest: known.at(-1)?.index ?? null,
    trend: trendOf(whole.map((one) => one.value)),
  };
}

function trendOf(values: readonly number[]): SeriesSummary['trend'] {
  if (values.length < TREND_VALUES) return null;
  const half = Math.floor(values.length / 2);
  const before = mean(values.slice(0, half));
  const after = mean(values.slice(-half));
  if (before === 0) return after > 0 ? 'rising' : 'steady';
  const change = (after - before) / before;
  if (change > TREND) return 'rising';
  return change < -TREND ? 'falling' : 'steady';
}

export function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
