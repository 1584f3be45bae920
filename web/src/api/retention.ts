import { useQuery } from '@tanstack/react-query';
import { getRetention } from './generated';
import { queryKeys } from './keys';

export type { KeptFor, PlannedRows, Retention } from './generated';

/** Returns how long things are kept, and what goes next. */
export function useRetention() {
  return useQuery({
    queryKey: queryKeys.retention,
    queryFn: async ({ signal }) => (await getRetention({ signal })).data,
  });
}
