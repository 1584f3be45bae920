import type { ChartState } from '../../components/charts/ChartFrame';

interface Loaded<T> {
  data: T | undefined;
  error: unknown;
  isPending: boolean;
  isPlaceholderData: boolean;
  refetch: () => Promise<unknown>;
}

/** Returns the state of a chart whose figures a query loads. */
export function stateOf<T>(query: Loaded<T>, isEmpty: (data: T) => boolean): ChartState {
  return {
    loading: query.isPending,
    error: query.data === undefined ? query.error : null,
    empty: query.data !== undefined && isEmpty(query.data),
    outdated: query.isPlaceholderData,
    retry: () => void query.refetch(),
  };
}
