import { useQuery } from '@tanstack/react-query';
import { errorFromBody, toApiError } from './error';
import type { Ready } from './generated';
import { queryKeys } from './keys';

const REFRESH_MS = 5_000;
const UNAVAILABLE = 503;

/** Returns how far the service is ready; a service that is not says so with 503 and the same body. */
async function fetchReady(signal: AbortSignal): Promise<Ready> {
  const response = await fetch('/readyz', { signal }).catch((thrown: unknown) => {
    if (signal.aborted) throw thrown;
    throw toApiError(thrown);
  });
  const body: unknown = await response.json().catch(() => null);
  if (response.ok || response.status === UNAVAILABLE) {
    if (isReady(body)) return body;
  }
  throw errorFromBody(response, body);
}

function isReady(body: unknown): body is Ready {
  return typeof body === 'object' && body !== null && 'inbox' in body && 'postgres' in body;
}

/** Returns how far the service is ready, brought up to date by itself. */
export function useReady() {
  return useQuery({
    queryKey: queryKeys.ready,
    queryFn: ({ signal }) => fetchReady(signal),
    refetchInterval: REFRESH_MS,
  });
}
