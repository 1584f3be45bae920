import { localDate } from '../../format/time';
import type { ConversationSearch } from '../conversations/search';
import type { Span } from './buckets';
import { rangeOf, type OverviewSearch } from './search';

/** What of a figure the list of conversations can pick out. */
export interface Behind {
  agent?: string[];
  source?: string;
  room?: string;
  silent?: true;
  flag?: string[];
  /** Messages, both inclusive. */
  min?: number;
  max?: number;
  /** Seconds. */
  longer?: number;
  shorter?: number;
  /** Local dates, both inclusive, in place of the range on view. */
  from?: string;
  to?: string;
}

/** Returns the search params of the list of conversations behind a figure. */
export function conversationsSearch(
  search: OverviewSearch,
  behind: Behind = {},
): ConversationSearch {
  const range = behind.from === undefined ? rangeOf(search) : {};
  const all = {
    ...range,
    agent: search.agent,
    source: search.source,
    room: search.room,
    ...behind,
  };
  // The list knows these names; what it cannot filter by yet, it leaves out.
  return Object.fromEntries(
    Object.entries(all).filter(([, value]) => value !== undefined),
  ) as ConversationSearch;
}

/** Returns the local dates that hold a bucket. */
export function datesOf(span: Pick<Span, 'start' | 'end'>, zone: string): Behind {
  const last = new Date(Date.parse(span.end) - 1);
  return { from: localDate(span.start, zone), to: localDate(last, zone) };
}

/** Flags of a session of which something may be missing; the others doubt the order alone. */
const INCOMPLETE = ['no_join', 'one_sided', 'repeated_user_turn', 'altered'];

/** Metrics whose conversations the list picks out exactly; any other opens those of the range. */
const EXACT: Record<string, Behind> = {
  sessions: {},
  silent_sessions: { silent: true },
  silent_rate: { silent: true },
  incomplete_sessions: { flag: INCOMPLETE },
};

/** Returns what the list can pick out of a metric's conversations, and whether that is all it counts. */
export function behindMetric(metric: string): { behind: Behind; exact: boolean } {
  const behind = EXACT[metric];
  return { behind: behind ?? {}, exact: behind !== undefined };
}

/** Returns the filters of a histogram's bin, or null where the list cannot filter by its metric. */
export function behindBin(
  metric: string,
  lower: number | null,
  upper: number | null,
): Behind | null {
  if (metric === 'session_duration') {
    return {
      ...(lower !== null && lower > 0 && { longer: lower }),
      ...(upper !== null && { shorter: upper }),
    };
  }
  if (metric !== 'messages_per_session') return null;
  return {
    ...(lower !== null && lower > 0 && { min: Math.ceil(lower) }),
    ...(upper !== null && { max: Math.ceil(upper) - 1 }),
  };
}
