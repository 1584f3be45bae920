import { takeEarlyAnswer } from './early';
import { errorFromResponse, toApiError } from './error';
import { reportUnauthorized } from './unauthorized';

export type QueryValue = string | number | boolean | readonly string[] | null | undefined;
export type Query = Record<string, QueryValue>;

interface RequestOptions {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  query?: Query;
  body?: unknown;
  signal?: AbortSignal | undefined;
  /** A 401 is the answer here, not the end of the session. */
  expectUnauthorized?: boolean;
}

/** Returns `path?query`; a list repeats its name, null and undefined are left out. */
export function urlWith(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined) continue;
    const values = typeof value === 'object' ? value : [String(value)];
    for (const one of values) params.append(name, one);
  }
  const text = params.toString();
  return text === '' ? path : `${path}?${text}`;
}

/** Sends a request to a route and returns its JSON; throws `ApiError`. */
export async function requestJson<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const { method = 'GET', query, body, signal, expectUnauthorized = false } = options;
  const url = urlWith(path, query);
  const early = method === 'GET' ? await takeEarlyAnswer(url) : null;
  const response = early ?? (await send(url, method, body, signal));
  if (!response.ok) {
    if (response.status === 401 && !expectUnauthorized) reportUnauthorized();
    throw await errorFromResponse(response);
  }
  const text = await response.text();
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

async function send(
  url: string,
  method: string,
  body: unknown,
  signal: AbortSignal | undefined,
): Promise<Response> {
  return fetch(url, {
    method,
    credentials: 'same-origin',
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
    signal: signal ?? null,
  }).catch((thrown: unknown) => {
    if (signal?.aborted === true) throw thrown;
    throw toApiError(thrown);
  });
}
