import { QueryClient } from '@tanstack/react-query';
import { toApiError } from './error';
import { outages } from './outage';

const MAX_RETRIES = 1;
/** What was loaded is shown again without a request for this long. */
const STALE_AFTER_MS = 10_000;

/** What failed for a reason that may pass is tried again this often. */
export const RECOVERY_MS = 5_000;

/** Makes the cache of what was read; requests that cannot succeed are not repeated. */
export function makeQueryClient(): QueryClient {
  const client = new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: STALE_AFTER_MS,
        retry: (failures, error) => failures < MAX_RETRIES && toApiError(error).transient,
        refetchOnWindowFocus: true,
        // A view that says that the service is away comes back by itself.
        refetchInterval: ({ state }) =>
          state.status === 'error' && toApiError(state.error).transient ? RECOVERY_MS : false,
      },
      mutations: { retry: false },
    },
  });
  outages.watch(client.getQueryCache());
  return client;
}
