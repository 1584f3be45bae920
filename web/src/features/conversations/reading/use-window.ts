import { useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useState } from 'react';
import type { Message } from '../../../api/generated';
import type { Query } from '../../../api/request';
import { RECOVERY_MS } from '../../../api/query-client';
import { toApiError } from '../../../api/error';
import { fetchMessages } from '../api';
import {
  appendPage,
  openQuery,
  openWindow,
  prependPage,
  receiveMessage,
  type Anchor,
  type LoadedWindow,
} from './window';

type Busy = 'open' | 'before' | 'after' | null;

/** Loads a conversation in windows: from an anchor, then page by page both ways. */
export function useWindow(id: string, initial: Anchor) {
  const client = useQueryClient();
  const [window, setWindow] = useState<LoadedWindow | null>(null);
  const [error, setError] = useState<unknown>(null);
  /** The message that was asked for is not there. */
  const [missing, setMissing] = useState(false);
  const [anchor, setAnchor] = useState(initial);
  /** Counts openings, so that the view knows when to scroll to the anchor. */
  const [opened, setOpened] = useState(0);
  const busy = useRef<Busy>(null);
  const latest = useRef<LoadedWindow | null>(null);
  /** Live messages that came while a page was read. */
  const early = useRef<Message[]>([]);

  const put = useCallback((next: LoadedWindow) => {
    latest.current = next;
    setWindow(next);
    setError(null);
  }, []);

  const read = useCallback(
    (query: Query, staleTime?: number) =>
      client.fetchQuery({
        ...(staleTime !== undefined && { staleTime }),
        queryKey: ['conversation', id, 'messages', query],
        queryFn: ({ signal }) => fetchMessages(id, query, signal),
      }),
    [client, id],
  );

  const open = useCallback(
    async (next: Anchor, keepMissing = false) => {
      busy.current = 'open';
      early.current = [];
      try {
        const page = await read(openQuery(next), 0);
        put(early.current.reduce(receiveMessage, openWindow(next, page)));
        setAnchor(next);
        setOpened((count) => count + 1);
        if (!keepMissing) setMissing(false);
      } catch (thrown) {
        const gone = next.at === 'message' && toApiError(thrown).code === 'not_found';
        if (gone) setMissing(true);
        else setError(thrown);
      } finally {
        busy.current = null;
      }
    },
    [read, put],
  );

  const load = useCallback(
    async (direction: 'before' | 'after') => {
      const current = latest.current;
      const query = current?.[direction] ?? null;
      if (current === null || query === null || busy.current !== null) return;
      busy.current = direction;
      early.current = [];
      try {
        const page = await read(query);
        const add = direction === 'before' ? prependPage : appendPage;
        put(early.current.reduce(receiveMessage, add(current, page)));
      } catch (thrown) {
        // Asked for again once this is drawn; not at once, since the service may be away.
        await new Promise((resolve) => setTimeout(resolve, RECOVERY_MS));
        put(early.current.reduce(receiveMessage, latest.current ?? current));
        setError(thrown);
      } finally {
        busy.current = null;
      }
    },
    [read, put],
  );

  const receive = useCallback(
    (message: Message) => {
      if (busy.current !== null) early.current.push(message);
      else if (latest.current !== null) put(receiveMessage(latest.current, message));
    },
    [put],
  );

  const first = useRef(initial);
  useEffect(() => {
    void open(first.current);
  }, [open]);
  useEffect(() => {
    if (error === null || latest.current !== null || !toApiError(error).transient) return;
    const timer = setTimeout(() => void open(first.current), RECOVERY_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [error, open]);
  useEffect(() => {
    // The message of a permalink is gone: the conversation is still there.
    if (missing && latest.current === null) void open({ at: 'start' }, true);
  }, [missing, open]);

  return { window, error, missing, anchor, opened, open, load, receive };
}

export type ConversationWindow = ReturnType<typeof useWindow>;
