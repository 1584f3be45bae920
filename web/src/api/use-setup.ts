import { useQuery } from '@tanstack/react-query';
import { queryKeys } from './keys';
import { fetchSetup } from './setup';

const REFRESH_MS = 5_000;

/** Returns how sources are set up and how the service is, brought up to date by itself. */
export function useSetup() {
  return useQuery({
    queryKey: queryKeys.setup,
    queryFn: ({ signal }) => fetchSetup(signal),
    refetchInterval: REFRESH_MS,
  });
}
