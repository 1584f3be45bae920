// Visits of kiosks, which may use one session for all visitors.

import {
  percent,
  replyGapTotal,
  seconds,
  sessionsTotal,
  turnsTotal,
  visitDurationOverTime,
  visitsByWeekday,
  visitsOverTime,
  visitsTotal,
  zone,
} from './figures.mjs';
import {
  agentsVariable,
  barChart,
  bucketVariable,
  BUCKETS,
  cellLink,
  column,
  conversations as listOf,
  dashboard,
  definitions,
  distribution,
  link,
  ofAgents,
  pageVariable,
  row,
  sourceVariable,
  stat,
  table,
  timeSeries,
  within,
  zoneVariable,
} from './parts.mjs';

const all = [link('Conversations', listOf())];
const longest = [link('Conversations with most messages', listOf('sort=messages')), ...all];

const VISITS = `FROM analytics_v1.visits AS v
WHERE ${within('v.started_at')} AND ${ofAgents('v')}`;

const median = stat({
  title: 'Visit duration, median',
  description: 'Time from a visit\'s start to its last message.',
  sql: `SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY v.duration_seconds) AS value
${VISITS}`,
  unit: 's',
  width: 3,
  links: longest,
});

const unspoken = stat({
  title: 'Visits without a user message',
  description: 'Visits in which only the agent spoke, divided by visits.',
  sql: `SELECT avg((v.user_message_count = 0)::integer)::double precision AS value
${VISITS}`,
  unit: 'percentunit',
  width: 3,
  links: [link('Silent conversations', listOf('silent=true')), ...all],
});

const perSession = stat({
  title: 'Visits per session',
  description: definitions('visits', 'sessions'),
  sql: `SELECT sum(a.visits)::double precision / NULLIF(sum(a.sessions), 0) AS value
FROM analytics_v1.activity_15m AS a
WHERE ${within('a.start')} AND ${ofAgents('a')}`,
  width: 3,
  links: longest,
});

const turnsPerVisit = timeSeries({
  title: 'Turns and messages per visit, average',
  description: definitions('turns', 'messages', 'visits'),
  sql: `SELECT
    b.start AS time,
    sum(a.turns)::double precision / NULLIF(sum(a.visits), 0) AS turns,
    sum(a.messages)::double precision / NULLIF(sum(a.visits), 0) AS messages
FROM ${BUCKETS}
LEFT JOIN analytics_v1.activity_15m AS a
    ON a.start >= b.start AND a.start < b."end" AND ${ofAgents('a')}
GROUP BY b.start
ORDER BY b.start`,
  links: longest,
});

const durations = distribution({
  title: 'Visit duration',
  metric: 'session_duration',
  value: 'v.duration_seconds',
  from: 'analytics_v1.visits AS v',
  where: `${within('v.started_at')} AND ${ofAgents('v')}`,
  unit: 'seconds',
  description: 'Visits by the time from their start to their last message.',
  links: longest,
});

const byAgent = table({
  title: 'By agent',
  description: definitions('visits', 'sessions', 'turns'),
  sql: `SELECT
    v.agent_id AS agent,
    count(*) AS visits,
    count(DISTINCT v.session_uuid) AS "sessions with visits",
    avg(v.turn_count)::double precision AS "turns per visit",
    percentile_cont(0.5) WITHIN GROUP (ORDER BY v.duration_seconds) AS "median duration",
    max(v.duration_seconds) AS "longest",
    avg((v.user_message_count = 0)::integer)::double precision AS "without user message",
    max(v.started_at) AS "last visit"
${VISITS}
GROUP BY v.agent_id
ORDER BY count(*) DESC
LIMIT 200`,
  columns: [
    column('agent', {
      links: [
        cellLink(
          'Conversations of this agent',
          '${page}/conversations?agent=${__data.fields.agent:percentencode}' +
            '&from=${__from:date:iso}&to=${__to:date:iso}',
        ),
        cellLink(
          'Dashboard of this agent',
          '/d/verbatim-agent?var-agent=${__data.fields.agent:percentencode}&${__url_time_range}',
        ),
      ],
    }),
    column('turns per visit', { decimals: 1 }),
    seconds('median duration'),
    seconds('longest'),
    percent('without user message'),
  ],
  links: all,
});

const quietest = barChart({
  title: 'Hours since the last visit',
  description: 'By agent, of those with a visit in the range. A kiosk that is silent for long may be broken.',
  sql: `SELECT
    a.agent_id AS agent,
    extract(epoch FROM $__timeTo()::timestamptz - max(a.start)) / 3600 AS hours
FROM analytics_v1.activity_15m AS a
WHERE ${within('a.start')} AND ${ofAgents('a')} AND a.visits > 0
GROUP BY a.agent_id
ORDER BY max(a.start)
LIMIT 20`,
  x: 'agent',
  unit: 'h',
  horizontal: true,
  links: all,
});

const latest = table({
  title: 'Latest visits',
  description: 'The last 100 that started in the range.',
  sql: `SELECT
    v.started_at AS started,
    v.session_uuid AS conversation,
    v.number AS visit,
    v.agent_id AS agent,
    v.duration_seconds AS duration,
    v.turn_count AS turns,
    v.user_message_count AS "user messages",
    v.assistant_message_count AS "assistant messages"
${VISITS}
ORDER BY v.started_at DESC
LIMIT 100`,
  columns: [
    column('conversation', {
      links: [cellLink('Read it', '${page}/conversations/${__data.fields.conversation}')],
      'custom.width': 310,
    }),
    seconds('duration'),
  ],
  height: 12,
  links: all,
});

export const kioskVisits = dashboard({
  uid: 'verbatim-kiosk-visits',
  title: 'Kiosk visits',
  description:
    'Visits: parts of a session without a long silence. Choose the agents that stand in kiosks.',
  // Visits are computed from messages at each read: in milliseconds for a day, in seconds for months.
  from: 'now-24h',
  variables: [pageVariable, agentsVariable, sourceVariable, bucketVariable, zoneVariable],
  links: all,
  panels: [
    visitsTotal(ofAgents, all),
    sessionsTotal(ofAgents, all),
    perSession,
    turnsTotal(ofAgents, all),
    median,
    unspoken,
    replyGapTotal(ofAgents, all),
    zone(all),
    visitsOverTime(ofAgents, all),
    turnsPerVisit,
    visitDurationOverTime(ofAgents, longest),
    durations,
    row('When'),
    visitsByWeekday(ofAgents, all),
    row('Agents'),
    byAgent,
    { ...quietest, width: 24 },
    row('One by one'),
    latest,
  ],
});
