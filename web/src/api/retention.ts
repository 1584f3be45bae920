import { useQuery } from '@tanstack/react-query';
import { queryKeys } from './keys';
import { requestJson } from './request';

/** How long things are kept, and what is over age now. */
export interface Retention {
  as_of: string;
  /** Days by source; null is for ever. */
  keep_messages: KeptFor[];
  keep_deliveries: KeptFor[];
  next_run_at?: string | null;
  /** Rows that the next run drops. */
  plan: PlannedRows[];
}

export interface KeptFor {
  source: string;
  days?: number | null;
}

export interface PlannedRows {
  table: string;
  source: string;
  rows: number;
}

/** Returns how long things are kept. */
export function useRetention() {
  return useQuery({
    queryKey: queryKeys.retention,
    queryFn: ({ signal }) => requestJson<Retention>('/v1/retention', { signal }),
  });
}
