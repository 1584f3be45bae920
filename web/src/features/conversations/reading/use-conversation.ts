import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useState } from 'react';
import type { Erased, Session } from '../../../api/generated';
import { queryKeys } from '../../../api/keys';
import { useLiveEvents, useReconnected } from '../../../live/use-live';
import { fetchConversation, fetchVisits } from '../api';

/** Flags and visits are looked for anew at most this often while a conversation goes on. */
const REFRESH_MS = 10_000;
/** A conversation that is silent ends without an event. */
const CHECK_MS = 30_000;

/** Loads the facts and the visits of a conversation, and keeps them up to date from the stream. */
export function useConversation(id: string) {
  const client = useQueryClient();
  const key = queryKeys.conversation(id);
  const session = useQuery({
    queryKey: [...key, 'facts'],
    queryFn: ({ signal }) => fetchConversation(id, signal),
    refetchInterval: ({ state }) =>
      state.data?.status === 'ended' && state.status !== 'error' ? false : CHECK_MS,
  });
  const visits = useQuery({
    queryKey: [...key, 'visits'],
    queryFn: ({ signal }) => fetchVisits(id, signal),
  });
  const [erased, setErased] = useState(false);

  const refresh = useCallback(() => {
    void client.invalidateQueries({ queryKey: ['conversation', id, 'facts'] });
    void client.invalidateQueries({ queryKey: ['conversation', id, 'visits'] });
  }, [client, id]);
  const refreshSoon = useThrottled(refresh, REFRESH_MS);
  useReconnected(refresh);
  useLiveEvents((event) => {
    if (event.type === 'session' && event.session.id === id) {
      const { session: now } = event;
      client.setQueryData<Session>([...key, 'facts'], (old) => old && { ...old, ...now });
      refreshSoon();
    }
    if (event.type === 'erasure' && isErased(event.erasure, session.data)) setErased(true);
  });
  return { session, visits, erased };
}

/** Was all of the session erased? Where only a part had expired, the rest is still there. */
export function isErased(erasure: Erased, session: Session | undefined): boolean {
  if (session === undefined) return false;
  if (erasure.session == null) return erasure.agent_id === session.agent_id;
  return erasure.session.id === session.id && erasure.before == null;
}

/** Returns a function that calls `run` once for all calls within `ms`. */
function useThrottled(run: () => void, ms: number): () => void {
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  useEffect(
    () => () => {
      if (timer.current !== null) clearTimeout(timer.current);
    },
    [],
  );
  return () => {
    timer.current ??= setTimeout(() => {
      timer.current = null;
      run();
    }, ms);
  };
}
