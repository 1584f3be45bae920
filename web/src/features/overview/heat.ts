import { numberIn, textIn, type Row } from './query';

const WEEKDAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];
/** 4 January 1970 was a Sunday, so its weekdays start on 5 January. */
const A_MONDAY = Date.UTC(1970, 0, 5);
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

export interface HeatRow {
  weekday: number;
  cells: { total: number | null; hours: number; perHour: number | null }[];
}

/** Returns the rows of a heatmap from its flat rows, in their order. */
export function heatRows(rows: readonly Row[], metric: string, ratio: boolean): HeatRow[] {
  const byDay = new Map<number, HeatRow>();
  for (const row of rows) {
    const weekday = WEEKDAYS.indexOf(textIn(row, 'weekday') ?? '');
    const hour = numberIn(row, 'hour') ?? 0;
    const hours = numberIn(row, 'hours') ?? 0;
    const total = numberIn(row, metric);
    const line = byDay.get(weekday) ?? { weekday, cells: [] };
    byDay.set(weekday, line);
    const mean = total === null || hours === 0 ? null : ratio ? total : total / hours;
    line.cells[hour] = { total, hours, perHour: mean };
  }
  return [...byDay.values()];
}

/** Returns the name of a weekday: 0 is Monday. */
export function weekdayName(weekday: number, language: string, style: 'long' | 'short'): string {
  const format = new Intl.DateTimeFormat(language, { weekday: style, timeZone: 'UTC' });
  return format.format(A_MONDAY + weekday * DAY_MS);
}

/** Returns the short name of an hour of the clock. */
export function hourTick(hour: number, language: string): string {
  return new Intl.DateTimeFormat(language, { hour: 'numeric', timeZone: 'UTC' }).format(
    hour * HOUR_MS,
  );
}

/** Returns the time at which an hour of the clock starts. */
export function hourName(hour: number, language: string): string {
  const format = new Intl.DateTimeFormat(language, {
    hour: 'numeric',
    minute: '2-digit',
    timeZone: 'UTC',
  });
  return format.format(hour * HOUR_MS);
}

export interface HeatPlace {
  weekday: number;
  hour: number;
  value: number;
}

/** Returns the cell with the highest average; null where there is none above 0. */
export function busiest(rows: readonly HeatRow[]): HeatPlace | null {
  return rows
    .flatMap((row) =>
      row.cells.map((cell, hour) => ({ weekday: row.weekday, hour, value: cell.perHour ?? 0 })),
    )
    .reduce<HeatPlace | null>((best, one) => (one.value > (best?.value ?? 0) ? one : best), null);
}
