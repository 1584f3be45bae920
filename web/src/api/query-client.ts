import { QueryClient } from '@tanstack/react-query';
import { toApiError } from './error';

const MAX_RETRIES = 2;
/** What was loaded is shown again without a request for this long. */
const STALE_AFTER_MS = 10_000;

/** Makes the cache of what was read; requests that cannot succeed are not repeated. */
export function makeQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: STALE_AFTER_MS,
        retry: (failures, error) => failures < MAX_RETRIES && toApiError(error).transient,
        refetchOnWindowFocus: true,
      },
      mutations: { retry: false },
    },
  });
}
