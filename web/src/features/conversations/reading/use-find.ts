import { useQuery } from '@tanstack/react-query';
import { useDeferredValue, useMemo } from 'react';
import { queryKeys } from '../../../api/keys';
import { fetchMatches } from '../api';
import { hitPositions } from './find';
import type { ConversationWindow } from './use-window';

const SHORTEST = 2;

/**
 * Returns the messages that hold a text, in order: by exact text where the whole conversation is
 * loaded, else by the words that the service finds. They belong to the text once they are `current`.
 */
export function useFind(sessionId: string, loaded: ConversationWindow, text: string) {
  const { window } = loaded;
  const needle = useDeferredValue(text.trim());
  const whole = window?.before === null && window.after === null;
  const wanted = needle.length >= SHORTEST;
  const query = { q: needle, session_id: sessionId };
  const found = useQuery({
    queryKey: queryKeys.search(query),
    queryFn: ({ signal }) => fetchMatches(query, null, signal),
    enabled: wanted && !whole,
  });
  const local = useMemo(
    () =>
      wanted && whole
        ? (window?.messages ?? []).filter((one) => hitPositions(one.message, needle).length > 0)
        : [],
    [wanted, whole, window, needle],
  );
  const remote = useMemo(
    () =>
      (found.data?.data ?? [])
        .map((match) => match.message)
        .sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1)),
    [found.data],
  );
  const messages = whole ? local : remote;
  const current = needle === text.trim() && (whole || !wanted || !found.isPending);
  return { hits: messages.map((message) => message.id), whole, current };
}
