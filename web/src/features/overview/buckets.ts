import type { ChartPoint } from '../../components/charts/LineChart';
import { numberIn, textIn, type Row } from './query';

export type Bucket = 'minute' | '15m' | 'hour' | 'day' | 'week' | 'month';

interface Locale {
  language: string;
  zone: string;
}

/** A bucket of time, known by its absolute bounds. */
export interface Span {
  start: string;
  end: string;
  local: string;
  complete: boolean;
}

/** Returns the buckets of flat rows, each once, in order. */
export function spansOf(rows: readonly Row[]): Span[] {
  const spans = new Map<string, Span>();
  for (const row of rows) {
    const start = textIn(row, 'start') ?? '';
    if (spans.has(start)) continue;
    spans.set(start, {
      start,
      end: textIn(row, 'end') ?? start,
      local: textIn(row, 'local_start') ?? start,
      complete: row['complete'] === true,
    });
  }
  return [...spans.values()];
}

/** Marks of an axis from coarse to fine: does a local start begin such a unit? */
const LEVELS: {
  name: 'month' | 'day' | 'time';
  starts: (local: string, weekday: number) => boolean;
}[] = [
  { name: 'month', starts: (local) => local.slice(8, 16) === '01T00:00' },
  { name: 'day', starts: (local, weekday) => local.slice(11, 16) === '00:00' && weekday === 1 },
  { name: 'day', starts: (local) => local.slice(11, 16) === '00:00' },
  { name: 'time', starts: (local) => /T(00|06|12|18):00/.test(local) },
  { name: 'time', starts: (local) => /T(00|03|06|09|12|15|18|21):00/.test(local) },
  { name: 'time', starts: (local) => local.slice(14, 16) === '00' },
  { name: 'time', starts: () => true },
];
/** Marks that an axis needs at least. */
const LEAST_MARKS = 4;

/** Returns the points of a time axis, with names in the reader's language. */
export function pointsOf(spans: readonly Span[], bucket: Bucket, locale: Locale): ChartPoint[] {
  const whole = spans.filter((span) => span.complete);
  const level =
    LEVELS.find((one) => whole.filter((span) => startsAt(one, span)).length >= LEAST_MARKS) ??
    LEVELS.at(-1);
  return spans.map((span) => ({
    label: spanName(span, bucket, locale),
    tick: tickName(span, level?.name ?? 'time', locale),
    partial: !span.complete,
    mark: level !== undefined && span.complete && startsAt(level, span),
  }));
}

function startsAt(level: (typeof LEVELS)[number], span: Span): boolean {
  return level.starts(span.local, new Date(`${span.local.slice(0, 10)}T00:00Z`).getUTCDay());
}

function tickName(span: Span, level: 'month' | 'day' | 'time', locale: Locale): string {
  if (level === 'month') return named(span.start, locale, { month: 'short' });
  const day = { day: 'numeric', month: 'short' } as const;
  if (level === 'day' || span.local.slice(11, 16) === '00:00')
    return named(span.start, locale, day);
  return named(span.start, locale, { hour: 'numeric', minute: '2-digit' });
}

/** Returns the whole name of a bucket. */
export function spanName(
  span: Pick<Span, 'start' | 'end'>,
  bucket: Bucket,
  locale: Locale,
): string {
  const day = { weekday: 'short', day: 'numeric', month: 'short' } as const;
  const time = { hour: 'numeric', minute: '2-digit' } as const;
  switch (bucket) {
    case 'month':
      return named(span.start, locale, { month: 'long', year: 'numeric' });
    case 'week': {
      const last = new Date(Date.parse(span.end) - 1).toISOString();
      return `${named(span.start, locale, day)} – ${named(last, locale, day)}`;
    }
    case 'day':
      return named(span.start, locale, day);
    default:
      return `${named(span.start, locale, { ...day, ...time })} – ${named(span.end, locale, time)}`;
  }
}

const formats = new Map<string, Intl.DateTimeFormat>();

function named(
  instant: string,
  { language, zone }: Locale,
  options: Intl.DateTimeFormatOptions,
): string {
  const key = `${language} ${zone} ${JSON.stringify(options)}`;
  let format = formats.get(key);
  if (format === undefined) {
    format = new Intl.DateTimeFormat(language, { ...options, timeZone: zone });
    formats.set(key, format);
  }
  return format.format(new Date(instant));
}

/** Groups that a chart shows; the table has all. */
export const MOST_SERIES = 5;

/** Returns the values of each group in the order of the buckets, the largest group first. */
export function seriesOf(
  rows: readonly Row[],
  spans: readonly Span[],
  column: string,
  group: string | null,
): { key: string; values: (number | null)[] }[] {
  const places = new Map(spans.map((span, index) => [span.start, index]));
  const series = new Map<string, (number | null)[]>();
  for (const row of rows) {
    const key = group === null ? '' : (textIn(row, group) ?? '');
    const values = series.get(key) ?? spans.map(() => null);
    series.set(key, values);
    const place = places.get(textIn(row, 'start') ?? '');
    if (place !== undefined) values[place] = numberIn(row, column);
  }
  const size = (values: (number | null)[]) =>
    values.reduce<number>((sum, one) => sum + (one ?? 0), 0);
  return [...series]
    .map(([key, values]) => ({ key, values }))
    .sort((a, b) => size(b.values) - size(a.values));
}
