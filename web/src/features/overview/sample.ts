import { useQuery } from '@tanstack/react-query';
import {
  getSessions,
  getSessionsSessionIdMessages,
  type Message,
  type SessionPage,
} from '../../api/generated';
import type { AnalyticsQuery } from './query';
import type { SampledSession, Spoken } from './funnel';

/** Sessions of the sample: enough to see a funnel, little enough to load at once. */
export const SAMPLE_SESSIONS = 200;
const PAGE = 100;
/** Long sessions whose further messages are loaded, and how many. */
const MOST_LONG = 12;
const LONG_MESSAGES = 500;

export interface Sample {
  sessions: SampledSession[];
  /** Sessions of which not all messages were loaded. */
  cut: number;
}

interface SampleRange {
  from: string;
  to: string;
  agents: string[] | undefined;
  source: string | undefined;
  room: string | undefined;
}

/** Loads the latest sessions of the range with their messages, for figures that the service does not compute. */
export function useSample(query: AnalyticsQuery, range: SampleRange | undefined, enabled: boolean) {
  return useQuery({
    // A range up to now has other bounds with each answer; that alone is no reason to load it again.
    queryKey: ['analytics', 'sample', query],
    queryFn: ({ signal }) => loadSample(range as SampleRange, signal),
    enabled: enabled && range !== undefined,
    staleTime: 5 * 60_000,
    refetchOnWindowFocus: false,
  });
}

async function loadSample(range: SampleRange, signal: AbortSignal): Promise<Sample> {
  const rows = await loadSessions(range, signal);
  let long = 0;
  let cut = 0;
  const sessions: SampledSession[] = [];
  for (const row of rows) {
    let messages = row.messages ?? [];
    if (row.message_count > messages.length && long < MOST_LONG) {
      long += 1;
      messages = await loadMessages(row.id, signal);
    }
    if (row.message_count > messages.length) cut += 1;
    sessions.push({ messages: messages.map(spoken), live: row.status === 'live' });
  }
  return { sessions, cut };
}

async function loadSessions(range: SampleRange, signal: AbortSignal) {
  const rows: SessionPage['data'] = [];
  let cursor: string | undefined;
  do {
    const { data } = await getSessions({
      query: {
        limit: PAGE,
        include: 'messages',
        started_after: range.from,
        started_before: range.to,
        ...(range.agents !== undefined && { agent_id: range.agents }),
        ...(range.source !== undefined && { source: range.source }),
        ...(range.room !== undefined && { room_name: range.room }),
        ...(cursor !== undefined && { cursor }),
      },
      signal,
    });
    rows.push(...data.data);
    cursor = data.next_cursor ?? undefined;
  } while (cursor !== undefined && rows.length < SAMPLE_SESSIONS);
  return rows;
}

async function loadMessages(id: string, signal: AbortSignal): Promise<Message[]> {
  const { data } = await getSessionsSessionIdMessages({
    path: { session_id: id },
    query: { limit: LONG_MESSAGES },
    signal,
  });
  return data.data;
}

function spoken(message: Message): Spoken {
  return { user: message.role.toLowerCase() === 'user', at: Date.parse(message.timestamp) };
}
