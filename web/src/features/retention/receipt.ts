import type { Receipt } from '../../api/generated';

/** Returns the rows that are gone by table, the largest number first. */
export function rowsByTable({ rows }: Receipt): [table: string, rows: number][] {
  return Object.entries(rows)
    .filter((entry): entry is [string, number] => typeof entry[1] === 'number')
    .toSorted((a, b) => b[1] - a[1]);
}

/** Returns the number of all rows that are gone. */
export function totalRows(receipt: Receipt): number {
  return rowsByTable(receipt).reduce((sum, [, rows]) => sum + rows, 0);
}
