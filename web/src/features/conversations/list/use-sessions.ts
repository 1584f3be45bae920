import {
  infiniteQueryOptions,
  useInfiniteQuery,
  useQueryClient,
  type InfiniteData,
} from '@tanstack/react-query';
import { useCallback, useMemo, useRef, useState } from 'react';
import type { Session } from '../../../api/generated';
import { queryKeys } from '../../../api/keys';
import type { Query } from '../../../api/request';
import { useLiveEvents, useReconnected } from '../../../live/use-live';
import { fetchSessions, type ListedSession, type Page } from '../api';
import { useClock } from '../clock';
import { sessionsQuery, type ConversationSearch } from '../search';
import { applySession, firstPageOnly, uniqueSessions } from './pages';

/** Quick changes are drawn together. */
const REFRESH_MS = 2_000;

type Pages = InfiniteData<Page<ListedSession>, string | null>;

/** Loads the list page by page. */
export function sessionPages(query: Query) {
  return infiniteQueryOptions({
    queryKey: queryKeys.sessions(query),
    queryFn: ({ pageParam, signal }) => fetchSessions(query, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => (page.has_more ? page.next_cursor : null),
  });
}

/** Loads the list page by page, and keeps what it shows up to date from the stream. */
export function useSessions(search: ConversationSearch, enabled: boolean) {
  const client = useQueryClient();
  const query = sessionsQuery(search, useClock());
  const key = queryKeys.sessions(query);
  const result = useInfiniteQuery({
    ...sessionPages(query),
    refetchOnWindowFocus: false,
    enabled,
  });
  const sessions = useMemo(() => uniqueSessions(result.data?.pages ?? []), [result.data]);

  const [newer, setNewer] = useState<ReadonlySet<string>>(new Set());
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  /** Changes nothing that is being read: rows change in place, and others wait for a press. */
  const onSession = (session: Session) => {
    client.setQueryData<Pages>(key, (data) => data && applySession(data, session));
    const first = sessions[0];
    if (first?.id !== session.id) setNewer((ids) => new Set(ids).add(session.id));
  };
  const refresh = useCallback(async () => {
    setNewer(new Set());
    client.setQueryData<Pages>(queryKeys.sessions(query), (data) => data && firstPageOnly(data));
    await client.invalidateQueries({ queryKey: queryKeys.sessions(query) });
  }, [client, query]);
  /** Brings the top up to date soon, once for many changes. */
  const refreshSoon = () => {
    timer.current ??= setTimeout(() => {
      timer.current = null;
      void refresh();
    }, REFRESH_MS);
  };

  useLiveEvents((event) => {
    if (!enabled) return;
    if (event.type === 'session') onSession(event.session);
    else if (event.type === 'erasure' || event.type === 'gap') refreshSoon();
  });
  useReconnected(refreshSoon);
  return { ...result, sessions, newer: newer.size, refresh, refreshSoon };
}
