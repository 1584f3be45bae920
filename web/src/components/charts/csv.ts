export type CsvValue = string | number | boolean | null | undefined;

/** First characters that make a spreadsheet compute what a cell says. */
const FORMULA = /^[=+\-@\t\r]/;

/** Returns rows as CSV (RFC 4180) with a header; a text that a spreadsheet would run gets an apostrophe. */
export function toCsv(header: readonly string[], rows: readonly (readonly CsvValue[])[]): string {
  return [header, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}

function cell(value: CsvValue): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'string') return String(value);
  const safe = FORMULA.test(value) || value.includes(';') ? `'${value}` : value;
  return `"${safe.replaceAll('"', '""')}"`;
}

/** Has the browser save a text as a file. */
export function saveFile(name: string, text: string, type = 'text/csv'): void {
  const url = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The download has begun once the click is handled.
  setTimeout(() => {
    URL.revokeObjectURL(url);
  }, 0);
}
