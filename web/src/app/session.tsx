import { queryOptions, useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, useContext, useEffect, useMemo, type ReactNode } from 'react';
import {
  allows,
  fetchSession,
  signOut,
  type BrowserSession,
  type Scope,
} from '../api/browser-session';
import { queryKeys } from '../api/keys';
import { RECOVERY_MS } from '../api/query-client';
import { onUnauthorized } from '../api/unauthorized';

interface SessionState {
  /** null: nobody is signed in. */
  session: BrowserSession | null;
  loading: boolean;
  error: unknown;
  /** May the views of this scope be shown? */
  can: (scope: Scope) => boolean;
  refresh: () => Promise<void>;
  end: () => Promise<void>;
}

const SessionContext = createContext<SessionState | null>(null);
const CHANNEL = 'verbatim.session';
/** The longest time that a timer can wait. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
/** A session that was revoked ends an idle page within this time. */
const CHECK_EVERY_MS = 60_000;

/** Returns the session of this browser and what it may see. */
export function useSession(): SessionState {
  const state = useContext(SessionContext);
  if (state === null) throw new Error('useSession needs a SessionProvider');
  return state;
}

/** Loads the session of this browser. */
export const sessionQuery = queryOptions({
  queryKey: queryKeys.session,
  queryFn: ({ signal }) => fetchSession(signal),
  staleTime: CHECK_EVERY_MS,
  refetchInterval: ({ state }) => (state.status === 'error' ? RECOVERY_MS : CHECK_EVERY_MS),
});

/** Holds the session; its end by expiry, revocation or sign-out, in any tab, empties the cache at once. */
export function SessionProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const query = useQuery(sessionQuery);
  const session = query.data ?? null;

  const channel = useMemo(() => new BroadcastChannel(CHANNEL), []);
  useEffect(() => {
    const forget = () => {
      client.setQueryData(queryKeys.session, null);
      client.removeQueries({ predicate: (one) => one.queryKey[0] !== queryKeys.session[0] });
    };
    const stop = onUnauthorized(forget);
    const onMessage = (event: MessageEvent<unknown>) => {
      if (event.data === 'ended') forget();
      else void client.invalidateQueries({ queryKey: queryKeys.session });
    };
    channel.addEventListener('message', onMessage);
    return () => {
      stop();
      channel.removeEventListener('message', onMessage);
    };
  }, [client, channel]);

  const expiresAt = session?.expires_at ?? null;
  useEffect(() => {
    if (expiresAt === null) return;
    const wait = Math.min(Math.max(0, Date.parse(expiresAt) - Date.now()), MAX_TIMEOUT_MS);
    const timer = setTimeout(
      () => void client.invalidateQueries({ queryKey: queryKeys.session }),
      wait,
    );
    return () => {
      clearTimeout(timer);
    };
  }, [client, expiresAt]);

  const value = useMemo<SessionState>(
    () => ({
      session,
      loading: query.isPending,
      error: query.error,
      can: (scope) => session !== null && allows(session, scope),
      refresh: async () => {
        await client.invalidateQueries({ queryKey: queryKeys.session });
        channel.postMessage('changed');
      },
      end: async () => {
        await signOut();
        channel.postMessage('ended');
        client.setQueryData(queryKeys.session, null);
        client.removeQueries({ predicate: (one) => one.queryKey[0] !== queryKeys.session[0] });
      },
    }),
    [session, query.isPending, query.error, client, channel],
  );

  return <SessionContext value={value}>{children}</SessionContext>;
}
