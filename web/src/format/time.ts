/** Language and zone that times and numbers are written for. */
export interface Locale {
  language: string;
  zone: string;
}

const formatters = new Map<Intl.DateTimeFormatOptions, Map<string, Intl.DateTimeFormat>>();

/** Making a formatter is slow, so each is made once; `options` is a constant. */
function formatter(locale: Locale, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  let ofOptions = formatters.get(options);
  if (ofOptions === undefined) formatters.set(options, (ofOptions = new Map()));
  const key = `${locale.language} ${locale.zone}`;
  let found = ofOptions.get(key);
  if (found === undefined) {
    found = new Intl.DateTimeFormat(locale.language, { ...options, timeZone: locale.zone });
    ofOptions.set(key, found);
  }
  return found;
}

const LOCAL_DATE = { dateStyle: 'short' } as const;
const CLOCK_TIME = { timeStyle: 'medium' } as const;
const CLOCK_MINUTE = { timeStyle: 'short' } as const;
const DATE_TIME = { dateStyle: 'medium', timeStyle: 'medium' } as const;
const DAY_NAME = { weekday: 'long', year: 'numeric', month: 'long', day: 'numeric' } as const;
const SHORT = { day: 'numeric', month: 'short', hour: 'numeric', minute: '2-digit' } as const;
const SHORT_WITH_YEAR = { ...SHORT, year: 'numeric' } as const;
const EXACT = {
  weekday: 'short',
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: 'numeric',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
  timeZoneName: 'longOffset',
} as const;

export type Instant = string | number | Date;

/** Returns `2026-11-30`, the local date in the zone. */
export function localDate(instant: Instant, zone: string): string {
  return formatter({ language: 'sv-SE', zone }, LOCAL_DATE).format(new Date(instant));
}

/** Returns hours, minutes and seconds. */
export function clockTime(instant: Instant, locale: Locale): string {
  return formatter(locale, CLOCK_TIME).format(new Date(instant));
}

/** Returns hours and minutes. */
export function clockMinute(instant: Instant, locale: Locale): string {
  return formatter(locale, CLOCK_MINUTE).format(new Date(instant));
}

/** Returns a date in words, with the weekday. */
export function dayName(instant: Instant, locale: Locale): string {
  return formatter(locale, DAY_NAME).format(new Date(instant));
}

/** Returns the time for today, the date with the time for any other day. */
export function shortDateTime(instant: Instant, locale: Locale, now: Instant = Date.now()): string {
  const day = localDate(instant, locale.zone);
  const today = localDate(now, locale.zone);
  if (day === today) return clockMinute(instant, locale);
  const sameYear = day.slice(0, 4) === today.slice(0, 4);
  return formatter(locale, sameYear ? SHORT : SHORT_WITH_YEAR).format(new Date(instant));
}

/** Returns date and time. */
export function dateTime(instant: Instant, locale: Locale): string {
  return formatter(locale, DATE_TIME).format(new Date(instant));
}

/** Returns the whole time with milliseconds and the zone's offset, for a tooltip. */
export function exactTime(instant: Instant, locale: Locale): string {
  const text = formatter(locale, EXACT).format(new Date(instant));
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
