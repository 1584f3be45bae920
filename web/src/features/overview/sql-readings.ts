import type { MetricName, StatName } from './query';

/** Range and filters of a query. */
export interface SqlScope {
  from: string;
  to: string;
  tz: string;
  agents: readonly string[];
  sources: readonly string[];
  rooms: readonly string[];
}

/** How a metric is read from the views of `analytics_v1`. */
interface Reading {
  view: 'sessions' | 'visits' | 'events' | 'messages' | 'turns';
  time: string;
  /** The number of a row that statistics are made of. */
  value?: string;
  /** What is counted, where it is not a statistic of `value`. */
  count?: string;
  where?: string;
}

const SESSIONS = { view: 'sessions', time: 'started_at' } as const;
const MESSAGES = { view: 'messages', time: 'occurred_at' } as const;
const rate = (column: string): Reading => ({
  ...SESSIONS,
  count: `avg(${column}::integer)::double precision`,
});
const flagged = (column: string): Reading => ({ ...SESSIONS, count: 'count(*)', where: column });

export const READINGS: Record<Exclude<MetricName, 'concurrent_sessions'>, Reading> = {
  sessions: { ...SESSIONS, count: 'count(*)' },
  visits: { view: 'visits', time: 'started_at', count: 'count(*)' },
  active_sessions: { view: 'events', time: 'occurred_at', count: 'count(DISTINCT session_uuid)' },
  engaged_sessions: flagged('engaged'),
  engagement_rate: rate('engaged'),
  silent_sessions: flagged('silent'),
  silent_rate: rate('silent'),
  single_turn_sessions: flagged('single_turn'),
  single_turn_rate: rate('single_turn'),
  messages: { ...MESSAGES, count: 'count(*)' },
  user_messages: { ...MESSAGES, count: 'count(*)', where: "role = 'user'" },
  assistant_messages: { ...MESSAGES, count: 'count(*)', where: "role = 'assistant'" },
  turns: { view: 'turns', time: 'started_at', count: 'count(*)' },
  session_duration: { ...SESSIONS, value: 'duration_seconds' },
  messages_per_session: { ...SESSIONS, value: 'message_count' },
  turns_per_session: { ...SESSIONS, value: 'turn_count' },
  reply_gap: { ...MESSAGES, value: 'reply_gap_seconds', where: 'is_reply' },
  first_reply_gap: {
    ...SESSIONS,
    value: 'first_reply_gap_seconds',
    where: 'first_reply_gap_seconds IS NOT NULL',
  },
  longest_silence: {
    ...SESSIONS,
    value: 'longest_silence_seconds',
    where: 'longest_silence_seconds IS NOT NULL',
  },
  incomplete_sessions: flagged('incomplete'),
  agents: { view: 'events', time: 'occurred_at', count: 'count(DISTINCT agent_id)' },
};

/** Returns a text as an SQL literal. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function among(column: string, values: readonly string[]): string[] {
  return values.length === 0 ? [] : [`${column} IN (${values.map(literal).join(', ')})`];
}

export function filters(scope: SqlScope, view: Reading['view'] = 'sessions'): string[] {
  const rooms = among('room_name', scope.rooms);
  const inRooms =
    rooms.length === 0 || view === 'sessions'
      ? rooms
      : [`session_uuid IN (SELECT id FROM analytics_v1.sessions WHERE ${rooms.join('')})`];
  return [...among('agent_id', scope.agents), ...among('source', scope.sources), ...inRooms];
}

export function expression(reading: Reading, stat: StatName): string {
  if (reading.count !== undefined) return reading.count;
  const value = reading.value ?? '*';
  if (stat === 'avg') return `avg(${value})::double precision`;
  if (stat === 'max') return `max(${value})`;
  const part = { p50: '0.5', p90: '0.9', p99: '0.99' }[stat as 'p50' | 'p90' | 'p99'];
  return `percentile_cont(${part}) WITHIN GROUP (ORDER BY ${value})`;
}

export function rowsOf(reading: Reading, scope: SqlScope, from: string, to: string): string {
  const conditions = [
    `${reading.time} >= ${from}`,
    `${reading.time} < ${to}`,
    ...(reading.where === undefined ? [] : [reading.where]),
    ...filters(scope, reading.view),
  ];
  return `FROM analytics_v1.${reading.view}\nWHERE ${conditions.join('\n  AND ')}`;
}
