/** Search params of the page as the router sees them: a text, or a list where a name repeats. */
export type RawSearch = Record<string, string | string[]>;

/** Reads `?a=1&b=2&b=3` as plain text; nothing is guessed to be a number or JSON. */
export function parseSearch(text: string): RawSearch {
  const search: RawSearch = {};
  for (const name of new Set(new URLSearchParams(text).keys())) {
    const values = new URLSearchParams(text).getAll(name);
    search[name] = values.length === 1 ? (values[0] ?? '') : values;
  }
  return search;
}

/** Writes search params; null, undefined, false, empty texts and empty lists are left out. */
export function stringifySearch(search: Record<string, unknown>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(search)) {
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (one === null || one === undefined || one === false || one === '') continue;
      params.append(name, String(one));
    }
  }
  const result = params.toString();
  return result === '' ? '' : `?${result}`;
}

type Unknown = Record<string, unknown>;

/** Returns the text under `name`, or undefined. */
export function textParam(search: Unknown, name: string): string | undefined {
  const value: unknown = Array.isArray(search[name])
    ? (search[name] as unknown[])[0]
    : search[name];
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Returns all texts under `name`, or undefined where there is none. */
export function listParam(search: Unknown, name: string): string[] | undefined {
  const value = search[name];
  const list = (Array.isArray(value) ? (value as unknown[]) : [value]).filter(
    (one): one is string => typeof one === 'string' && one !== '',
  );
  return list.length === 0 ? undefined : list;
}

/** Returns the text under `name` where it is one of `allowed`. */
export function choiceParam<T extends string>(
  search: Unknown,
  name: string,
  allowed: readonly T[],
): T | undefined {
  const text = textParam(search, name);
  return allowed.find((one) => one === text);
}

/** Returns the number under `name` where it is one and not negative. */
export function numberParam(search: Unknown, name: string): number | undefined {
  const value = Number(textParam(search, name) ?? Number.NaN);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** Is `name` there and true? */
export function flagParam(search: Unknown, name: string): true | undefined {
  const value = search[name];
  return value === true || value === 'true' || value === '1' ? true : undefined;
}

/** Leaves out what is undefined, as exact optional properties want it. */
export function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
