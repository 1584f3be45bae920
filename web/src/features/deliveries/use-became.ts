import { useQuery } from '@tanstack/react-query';
import { getSessionsSessionId, getSessionsSessionIdMessages } from '../../api/generated';
import type { WholeDelivery } from '../../api/generated';
import { queryKeys } from '../../api/keys';
import { toApiError } from '../../api/error';
import { belongsToConversation, closestMessage, messageIn } from './message';

/** What a delivery became: the conversation by our id, and its message where it holds one. */
export interface Became {
  conversation: string | null;
  message: string | null;
}

const NOTHING: Became = { conversation: null, message: null };
/** A message is looked for so close to the time in the body. */
const WINDOW_MS = 2_000;
/** Where the body names no time, the message has the time of its arrival or one shortly before. */
const WIDE_WINDOW_MS = 86_400_000;
const MAX_ROWS = 500;

/** Finds the conversation and the message of a delivery. */
export function useBecame(delivery: WholeDelivery) {
  return useQuery({
    queryKey: queryKeys.deliveredMessage(`${delivery.id} ${delivery.outcome}`),
    queryFn: ({ signal }) => findBecame(delivery, signal),
    enabled: belongsToConversation(delivery),
  });
}

async function findBecame(delivery: WholeDelivery, signal: AbortSignal): Promise<Became> {
  const conversation = await findConversation(delivery, signal);
  if (conversation === null) return NOTHING;
  const delivered = messageIn(delivery.body);
  if (delivered === null) return { conversation, message: null };
  const at = delivered.at ?? Date.parse(delivery.received_at);
  const around = delivered.at === null ? WIDE_WINDOW_MS : WINDOW_MS;
  const { data } = await getSessionsSessionIdMessages({
    path: { session_id: conversation },
    query: {
      after: new Date(at - around).toISOString(),
      before: new Date(at + around).toISOString(),
      limit: MAX_ROWS,
    },
    signal,
  });
  return {
    conversation,
    message: closestMessage(data.data, delivered.text, delivery.received_at),
  };
}

async function findConversation(
  { session_id, agent_id, source }: WholeDelivery,
  signal: AbortSignal,
): Promise<string | null> {
  if (typeof session_id !== 'string' || typeof agent_id !== 'string') return null;
  try {
    const query = { agent_id, source };
    const { data } = await getSessionsSessionId({ path: { session_id }, query, signal });
    return data.id;
  } catch (error) {
    if (toApiError(error).code === 'not_found') return null;
    throw error;
  }
}
