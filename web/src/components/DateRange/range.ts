export const PERIODS = [
  'today',
  'yesterday',
  'last_24h',
  'last_7d',
  'last_30d',
  'last_90d',
  'this_week',
  'last_week',
  'this_month',
  'last_month',
  'this_year',
] as const;
export type Period = (typeof PERIODS)[number];

/**
 * A range of time: a period by name, or local dates, both inclusive; an exact time instead of a date
 * is exclusive as the end. Nothing at all is any time.
 */
export interface Range {
  period?: Period | undefined;
  from?: string | undefined;
  to?: string | undefined;
}

const DATE = /^\d{4}-\d{2}-\d{2}$/;

export function isDate(text: string | undefined): text is string {
  return text !== undefined && DATE.test(text) && !Number.isNaN(Date.parse(text));
}

const INSTANT = /^\d{4}-\d{2}-\d{2}T[\d:.]+(Z|[+-]\d{2}:\d{2})$/;

export function isInstant(text: string | undefined): text is string {
  return text !== undefined && INSTANT.test(text) && !Number.isNaN(Date.parse(text));
}

/** Returns the date `days` later. */
export function addDays(date: string, days: number): string {
  const moved = new Date(`${date}T00:00:00Z`);
  moved.setUTCDate(moved.getUTCDate() + days);
  return moved.toISOString().slice(0, 10);
}

interface Bounds {
  /** Local date or instant, inclusive. */
  from?: string;
  /** Local date or instant, exclusive. */
  to?: string;
}

const DAY_MS = 86_400_000;

/** Returns the half-open bounds of a range; `today` is the local date in the zone of the page. */
export function bounds(range: Range, today: string, now: number): Bounds {
  if (range.period === undefined) {
    const { from, to } = range;
    return {
      ...((isDate(from) || isInstant(from)) && { from }),
      ...(isDate(to) && { to: addDays(to, 1) }),
      ...(isInstant(to) && { to }),
    };
  }
  const weekday = (new Date(`${today}T00:00:00Z`).getUTCDay() + 6) % 7;
  const monday = addDays(today, -weekday);
  const firstOfMonth = `${today.slice(0, 8)}01`;
  const lastMonth = `${addDays(firstOfMonth, -1).slice(0, 8)}01`;
  switch (range.period) {
    case 'today':
      return { from: today };
    case 'yesterday':
      return { from: addDays(today, -1), to: today };
    // As the service computes figures: multiples of 24 hours up to now.
    case 'last_24h':
      return { from: daysBefore(now, 1) };
    case 'last_7d':
      return { from: daysBefore(now, 7) };
    case 'last_30d':
      return { from: daysBefore(now, 30) };
    case 'last_90d':
      return { from: daysBefore(now, 90) };
    case 'this_week':
      return { from: monday };
    case 'last_week':
      return { from: addDays(monday, -7), to: monday };
    case 'this_month':
      return { from: firstOfMonth };
    case 'last_month':
      return { from: lastMonth, to: firstOfMonth };
    case 'this_year':
      return { from: `${today.slice(0, 4)}-01-01` };
  }
}

function daysBefore(now: number, days: number): string {
  return new Date(now - days * DAY_MS).toISOString();
}
