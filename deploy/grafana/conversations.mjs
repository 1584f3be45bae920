// Conversations of all agents.

import {
  durationDistribution,
  durationOverTime,
  durationTotal,
  engagementTotal,
  firstReplyGapOverTime,
  incompleteByFlag,
  messagesOverTime,
  messagesPerSessionOverTime,
  messagesTotal,
  percent,
  ratesOverTime,
  replyGapOverTime,
  replyGapTotal,
  seconds,
  sessionsByWeekday,
  sessionsOverTime,
  sessionsTotal,
  silentTotal,
  turnsDistribution,
  turnsTotal,
  zone,
} from './figures.mjs';
import {
  agentsVariable,
  barChart,
  bucketVariable,
  cellLink,
  column,
  conversations as listOf,
  dashboard,
  definitions,
  link,
  ofAgents,
  pageVariable,
  row,
  sourceVariable,
  table,
  within,
  zoneVariable,
} from './parts.mjs';

const all = [link('Conversations', listOf())];
const engaged = [link('Conversations with a user message', listOf('engaged=true')), ...all];
const silent = [link('Silent conversations', listOf('silent=true')), ...all];
const longest = [link('Longest conversations', listOf('sort=duration')), ...all];
const incomplete = [
  link('Without a join', listOf('flag=no_join')),
  link('One-sided', listOf('flag=one_sided')),
  ...all,
];

const DASHBOARD_OF_AGENT = cellLink(
  'Dashboard of this agent',
  '/d/verbatim-agent?var-agent=${__data.fields.agent:percentencode}&${__url_time_range}',
);
const CONVERSATIONS_OF_AGENT = cellLink(
  'Conversations of this agent',
  '${page}/conversations?agent=${__data.fields.agent:percentencode}' +
    '&from=${__from:date:iso}&to=${__to:date:iso}',
);

const byAgent = table({
  title: 'By agent',
  description: definitions(
    'sessions',
    'engagement_rate',
    'silent_rate',
    'single_turn_rate',
    'messages',
    'session_duration',
    'reply_gap',
  ),
  sql: `SELECT
    a.agent_id AS agent,
    sum(a.sessions) AS sessions,
    sum(a.visits) AS visits,
    sum(a.messages) AS messages,
    sum(a.engaged_sessions)::double precision / NULLIF(sum(a.sessions), 0) AS engagement,
    sum(a.silent_sessions)::double precision / NULLIF(sum(a.sessions), 0) AS silent,
    sum(a.single_turn_sessions)::double precision / NULLIF(sum(a.sessions), 0) AS "single turn",
    sum(a.session_duration_seconds) / NULLIF(sum(a.sessions), 0) AS duration,
    sum(a.reply_gap_seconds) / NULLIF(sum(a.reply_gaps), 0) AS "reply gap"
FROM analytics_v1.activity_15m AS a
WHERE ${within('a.start')} AND ${ofAgents('a')}
GROUP BY a.agent_id
ORDER BY sum(a.sessions) DESC
LIMIT 200`,
  columns: [
    column('agent', { links: [CONVERSATIONS_OF_AGENT, DASHBOARD_OF_AGENT] }),
    percent('engagement'),
    percent('silent'),
    percent('single turn'),
    seconds('duration'),
    seconds('reply gap'),
  ],
  links: all,
});

const bySource = barChart({
  title: 'Sessions by source',
  description: definitions('sessions'),
  sql: `SELECT a.source, sum(a.sessions) AS sessions
FROM analytics_v1.activity_15m AS a
WHERE ${within('a.start')} AND ${ofAgents('a')}
GROUP BY a.source
ORDER BY sum(a.sessions) DESC
LIMIT 20`,
  x: 'source',
  horizontal: true,
  links: all,
});

const latest = table({
  title: 'Latest conversations',
  description: 'The last 100 that started in the range. A session\'s id opens it on the page.',
  sql: `SELECT
    s.started_at AS started,
    s.id AS conversation,
    s.agent_id AS agent,
    s.room_name AS room,
    s.duration_seconds AS duration,
    s.user_message_count AS "user messages",
    s.assistant_message_count AS "assistant messages",
    s.first_reply_gap_seconds AS "first reply gap",
    s.silent,
    s.incomplete
FROM analytics_v1.sessions AS s
WHERE ${within('s.started_at')} AND ${ofAgents('s')}
ORDER BY s.started_at DESC
LIMIT 100`,
  columns: [
    column('conversation', {
      links: [cellLink('Read it', '${page}/conversations/${__data.fields.conversation}')],
      'custom.width': 310,
    }),
    column('agent', { links: [CONVERSATIONS_OF_AGENT, DASHBOARD_OF_AGENT] }),
    seconds('duration'),
    seconds('first reply gap'),
  ],
  height: 12,
  links: all,
});

export const conversations = dashboard({
  uid: 'verbatim-conversations',
  title: 'Conversations',
  description: 'What people and agents say to each other: how often, for how long, how well.',
  from: 'now-7d',
  variables: [pageVariable, agentsVariable, sourceVariable, bucketVariable, zoneVariable],
  links: all,
  panels: [
    sessionsTotal(ofAgents, all),
    engagementTotal(ofAgents, engaged),
    silentTotal(ofAgents, silent),
    messagesTotal(ofAgents, all),
    turnsTotal(ofAgents, all),
    durationTotal(ofAgents, longest),
    replyGapTotal(ofAgents, all),
    zone(all),
    sessionsOverTime(ofAgents, all),
    messagesOverTime(ofAgents, all),
    ratesOverTime(ofAgents, silent),
    durationOverTime(ofAgents, longest),
    row('Agents and sources'),
    byAgent,
    { ...bySource, width: 12 },
    incompleteByFlag(ofAgents, incomplete),
    row('Replies and length'),
    replyGapOverTime(ofAgents, all),
    firstReplyGapOverTime(ofAgents, all),
    durationDistribution(ofAgents, longest),
    turnsDistribution(ofAgents, all),
    { ...messagesPerSessionOverTime(ofAgents, longest), width: 24 },
    row('When'),
    sessionsByWeekday(ofAgents, all),
    row('One by one'),
    latest,
  ],
});
