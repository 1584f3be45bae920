import type { Bucket, Span } from '../overview/buckets';
import { hourTick } from '../overview/heat';

/** Every sixth hour and every third day has a label: it is read from afar. */
const HOURS_A_TICK = 6;
const DAYS_A_TICK = 3;

/** Returns the label below a column, or an empty text. */
export function wallTick(
  span: Span,
  bucket: Bucket,
  index: number,
  { language, zone }: { language: string; zone: string },
): string {
  if (bucket === 'hour') {
    const hour = Number(span.local.slice(11, 13));
    return hour % HOURS_A_TICK === 0 ? hourTick(hour, language) : '';
  }
  if (index % DAYS_A_TICK !== 0) return '';
  const format = new Intl.DateTimeFormat(language, {
    day: 'numeric',
    month: 'short',
    timeZone: zone,
  });
  return format.format(new Date(span.start));
}

/** Returns the bucket that is now: the last one that has begun. */
export function currentSpan(spans: readonly Pick<Span, 'start'>[], now: number): number {
  return spans.findLastIndex((span) => Date.parse(span.start) <= now);
}
