const formats = new Map<string, Intl.NumberFormat>();

function numberFormat(language: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `${language} ${JSON.stringify(options)}`;
  let found = formats.get(key);
  if (found === undefined) {
    found = new Intl.NumberFormat(language, options);
    formats.set(key, found);
  }
  return found;
}

/** Returns a whole number with separators. */
export function count(value: number, language: string): string {
  return numberFormat(language, { maximumFractionDigits: 0 }).format(value);
}

/** Returns a number with at most `digits` decimals. */
export function decimal(value: number, language: string, digits = 1): string {
  return numberFormat(language, { maximumFractionDigits: digits }).format(value);
}

/** Returns a fraction as per cent: 0.25 is 25 %. */
export function percent(fraction: number, language: string, digits = 1): string {
  return numberFormat(language, { style: 'percent', maximumFractionDigits: digits }).format(
    fraction,
  );
}

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** Returns a size in bytes with a decimal unit. */
export function bytes(value: number, language: string): string {
  let size = value;
  let unit = 0;
  while (Math.abs(size) >= 1000 && unit < BYTE_UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${decimal(size, language, unit === 0 ? 0 : 1)} ${BYTE_UNITS[unit] ?? ''}`;
}
