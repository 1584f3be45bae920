import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';

/** A part of a list. */
export interface Page<Row> {
  data: Row[];
  has_more: boolean;
  next_cursor?: string | null;
}

interface State<Row> {
  status: string;
  data?: { pages: Page<Row>[] } | undefined;
}

interface Options<Row> {
  queryKey: readonly unknown[];
  /** Loads the page at the cursor; without one, the first. */
  load: (page: { cursor?: string }, signal: AbortSignal) => Promise<Page<Row>>;
  /** The first page is brought up to date so often, while it is the only one. */
  refreshMs?: number;
}

/** Loads a list page by page; `rows` are those of all pages so far. */
export function usePages<Row>({ queryKey, load, refreshMs }: Options<Row>) {
  const query = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam, signal }) =>
      load(pageParam === null ? {} : { cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => (last.has_more ? last.next_cursor : null),
    placeholderData: keepPreviousData,
    ...(refreshMs !== undefined && {
      // Bringing many pages up to date is many requests, so only what failed is asked for again.
      refetchInterval: ({ state }: { state: State<Row> }) =>
        state.status !== 'error' && (state.data?.pages.length ?? 0) > 1 ? false : refreshMs,
    }),
  });
  return { query, rows: query.data?.pages.flatMap((page) => page.data) ?? [] };
}
