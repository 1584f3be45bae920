/** Language and zone that times and numbers are written for. */
export interface Locale {
  language: string;
  zone: string;
}

const formatters = new Map<string, Intl.DateTimeFormat>();

/** Making a formatter is slow, so each is made once. */
function formatter(locale: Locale, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale.language} ${locale.zone} ${JSON.stringify(options)}`;
  let found = formatters.get(key);
  if (found === undefined) {
    found = new Intl.DateTimeFormat(locale.language, { ...options, timeZone: locale.zone });
    formatters.set(key, found);
  }
  return found;
}

export type Instant = string | number | Date;

/** Returns `2026-11-30`, the local date in the zone. */
export function localDate(instant: Instant, zone: string): string {
  return formatter({ language: 'sv-SE', zone }, { dateStyle: 'short' }).format(new Date(instant));
}

/** Returns hours, minutes and seconds. */
export function clockTime(instant: Instant, locale: Locale): string {
  return formatter(locale, { timeStyle: 'medium' }).format(new Date(instant));
}

/** Returns hours and minutes. */
export function clockMinute(instant: Instant, locale: Locale): string {
  return formatter(locale, { timeStyle: 'short' }).format(new Date(instant));
}

/** Returns a date in words, with the weekday. */
export function dayName(instant: Instant, locale: Locale): string {
  return formatter(locale, {
    weekday: 'long',
    year: 'numeric',
    month: 'long',
    day: 'numeric',
  }).format(new Date(instant));
}

/** Returns the time for today, the date with the time for any other day. */
export function shortDateTime(instant: Instant, locale: Locale, now: Instant = Date.now()): string {
  const day = localDate(instant, locale.zone);
  const today = localDate(now, locale.zone);
  if (day === today) return clockMinute(instant, locale);
  const sameYear = day.slice(0, 4) === today.slice(0, 4);
  return formatter(locale, {
    day: 'numeric',
    month: 'short',
    hour: 'numeric',
    minute: '2-digit',
    ...(sameYear ? {} : { year: 'numeric' }),
  }).format(new Date(instant));
}

/** Returns date and time. */
export function dateTime(instant: Instant, locale: Locale): string {
  return formatter(locale, { dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(instant));
}

/** Returns the whole time with milliseconds and the zone's offset, for a tooltip. */
export function exactTime(instant: Instant, locale: Locale): string {
  const text = formatter(locale, {
    weekday: 'short',
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: 'numeric',
    minute: '2-digit',
    second: '2-digit',
    fractionalSecondDigits: 3,
    timeZoneName: 'longOffset',
  }).format(new Date(instant));
  return `${text} (${locale.zone})`;
}

/** Returns the age in words, such as "3 minutes ago". */
export function relativeTime(instant: Instant, language: string, now: number = Date.now()): string {
  const seconds = (new Date(instant).getTime() - now) / 1000;
  const units: [Intl.RelativeTimeFormatUnit, number][] = [
    ['day', 86_400],
    ['hour', 3_600],
    ['minute', 60],
  ];
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  const unit = units.find(([, length]) => Math.abs(seconds) >= length);
  return unit === undefined
    ? format.format(Math.round(seconds), 'second')
    : format.format(Math.round(seconds / unit[1]), unit[0]);
}

/** Is the name one that this browser knows as a time zone? */
export function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return name !== '';
  } catch {
    return false;
  }
}
