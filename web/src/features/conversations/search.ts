import {
  choiceParam,
  defined,
  flagParam,
  listParam,
  numberParam,
  textParam,
} from '../../app/search-params';
import { bounds, isDate, isInstant, PERIODS, type Period } from '../../components/DateRange/range';

export const STATUSES = ['live', 'idle', 'ended'] as const;
export const OPENINGS = ['room.join', 'chat.push'] as const;
export const FLAGS = [
  'no_join',
  'one_sided',
  'repeated_user_turn',
  'altered',
  'out_of_order',
  'undated',
] as const;
export const SORTS = ['activity', 'started', 'duration', 'messages'] as const;

export type FlagName = (typeof FLAGS)[number];
export type SortName = (typeof SORTS)[number];

/** Filters of the list, as they are in the address. */
export interface ConversationSearch {
  q?: string;
  agent?: string[];
  source?: string;
  room?: string;
  status?: (typeof STATUSES)[number];
  opened?: (typeof OPENINGS)[number];
  flag?: FlagName[];
  silent?: true;
  engaged?: true;
  single?: true;
  min?: number;
  max?: number;
  longer?: number;
  shorter?: number;
  /** The latest activity first where it is left out. */
  sort?: SortName;
  period?: Period;
  from?: string;
  to?: string;
}

/** Reads the filters; what makes no sense is left out. */
export function parseConversationSearch(search: Record<string, unknown>): ConversationSearch {
  const flags = listParam(search, 'flag')?.filter((one) => FLAGS.some((flag) => flag === one));
  const sort = choiceParam(search, 'sort', SORTS);
  const from = textParam(search, 'from');
  const to = textParam(search, 'to');
  return defined({
    q: textParam(search, 'q'),
    agent: listParam(search, 'agent'),
    source: textParam(search, 'source'),
    room: textParam(search, 'room'),
    status: choiceParam(search, 'status', STATUSES),
    opened: choiceParam(search, 'opened', OPENINGS),
    flag: flags?.length === 0 ? undefined : (flags as FlagName[] | undefined),
    silent: flagParam(search, 'silent'),
    engaged: flagParam(search, 'engaged'),
    single: flagParam(search, 'single'),
    min: wholeParam(search, 'min'),
    max: wholeParam(search, 'max'),
    longer: wholeParam(search, 'longer'),
    shorter: wholeParam(search, 'shorter'),
    sort: sort === 'activity' ? undefined : sort,
    period: choiceParam(search, 'period', PERIODS),
    from: isDate(from) || isInstant(from) ? from : undefined,
    to: isDate(to) || isInstant(to) ? to : undefined,
  });
}

/** Returns a number of messages or seconds. */
function wholeParam(search: Record<string, unknown>, name: string): number | undefined {
  const value = numberParam(search, name);
  return value === undefined ? undefined : Math.round(value);
}

/** Returns how many filters are set; the text, the time and the order have their own controls. */
export function filterCount(search: ConversationSearch): number {
  const { q, period, from, to, sort, ...filters } = search;
  void [q, period, from, to, sort];
  return Object.keys(filters).length;
}

interface Clock {
  zone: string;
  /** Local date in the zone. */
  today: string;
  now: number;
}

/** Returns the query of `GET /v1/sessions` for the filters. */
export function sessionsQuery(search: ConversationSearch, clock: Clock) {
  const { from, to } = bounds(search, clock.today, clock.now);
  return {
    agent_id: search.agent,
    source: search.source,
    room_name: search.room,
    status: search.status,
    opened_by: search.opened,
    flag: search.flag,
    silent: search.silent,
    engaged: search.engaged,
    single_turn: search.single,
    min_messages: search.min,
    max_messages: search.max,
    min_duration: search.longer,
    max_duration: search.shorter,
    sort: search.sort,
    started_after: from,
    started_before: to,
    tz: from === undefined && to === undefined ? undefined : clock.zone,
  };
}

/** Returns the query of `GET /v1/search` for the text and the filters that a search has. */
export function matchesQuery(search: ConversationSearch, clock: Clock) {
  const { from, to } = bounds(search, clock.today, clock.now);
  return {
    q: search.q,
    agent_id: search.agent,
    source: search.source,
    room_name: search.room,
    status: search.status,
    opened_by: search.opened,
    flag: search.flag,
    silent: search.silent,
    after: from,
    before: to,
    tz: from === undefined && to === undefined ? undefined : clock.zone,
  };
}

/** Search params of one conversation: the message of a permalink. */
export interface MessageSearch {
  message?: string;
}

export function parseMessageSearch(search: Record<string, unknown>): MessageSearch {
  const message = textParam(search, 'message');
  return message === undefined ? {} : { message };
}
