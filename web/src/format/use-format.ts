import { useSettings } from '../app/settings';
import { duration } from './duration';
import { bytes, count, decimal, percent } from './number';
import {
  clockMinute,
  clockTime,
  dateTime,
  dayName,
  exactTime,
  localDate,
  relativeTime,
  shortDateTime,
  type Instant,
} from './time';

/** Returns the language with the reader's region: English is not written the same everywhere. */
export function regional(language: string, wanted: readonly string[]): string {
  return wanted.find((tag) => tag.split('-')[0] === language) ?? language;
}

/** Returns the formatters for the language and the zone of the page. */
export function useFormat(): Format {
  const { language, zone } = useSettings();
  return formatOf(regional(language, navigator.languages), zone);
}

const made = new Map<string, Format>();

/** Each is made once: hundreds of rows ask for it as one scrolls. */
function formatOf(language: string, zone: string): Format {
  const key = `${language} ${zone}`;
  let found = made.get(key);
  if (found === undefined) {
    found = makeFormat(language, zone);
    made.set(key, found);
  }
  return found;
}

function makeFormat(language: string, zone: string) {
  const locale = { language, zone };
  return {
    language,
    zone,
    clockTime: (instant: Instant) => clockTime(instant, locale),
    clockMinute: (instant: Instant) => clockMinute(instant, locale),
    dayName: (instant: Instant) => dayName(instant, locale),
    shortDateTime: (instant: Instant) => shortDateTime(instant, locale),
    dateTime: (instant: Instant) => dateTime(instant, locale),
    exactTime: (instant: Instant) => exactTime(instant, locale),
    localDate: (instant: Instant) => localDate(instant, zone),
    relativeTime: (instant: Instant, now?: number) => relativeTime(instant, language, now),
    duration: (seconds: number) => duration(seconds, language),
    count: (value: number) => count(value, language),
    decimal: (value: number, digits?: number) => decimal(value, language, digits),
    percent: (fraction: number, digits?: number) => percent(fraction, language, digits),
    bytes: (value: number) => bytes(value, language),
  };
}

export type Format = ReturnType<typeof makeFormat>;
