// One agent.

import {
  durationDistribution,
  durationOverTime,
  durationTotal,
  engagementTotal,
  firstReplyGapDistribution,
  firstReplyGapOverTime,
  incompleteByFlag,
  longestSilenceOverTime,
  messagesOverTime,
  messagesTotal,
  ratesOverTime,
  replyGapOverTime,
  replyGapTotal,
  seconds,
  sessionsByWeekday,
  sessionsOverTime,
  sessionsTotal,
  silentTotal,
  turnsDistribution,
  turnsPerSessionOverTime,
  turnsTotal,
  zone,
} from './figures.mjs';
import {
  agentVariable,
  barChart,
  bucketVariable,
  cellLink,
  column,
  conversations as listOf,
  dashboard,
  definitions,
  link,
  ofOneAgent,
  pageVariable,
  row,
  sourceVariable,
  table,
  within,
  zoneVariable,
} from './parts.mjs';

const all = [link('Conversations', listOf())];
const silent = [link('Silent conversations', listOf('silent=true')), ...all];
const longest = [link('Longest conversations', listOf('sort=duration')), ...all];

const CONVERSATION = column('conversation', {
  links: [cellLink('Read it', '${page}/conversations/${__data.fields.conversation}')],
  'custom.width': 310,
});

const byRoom = barChart({
  title: 'Sessions by room',
  description: definitions('sessions'),
  sql: `SELECT COALESCE(s.room_name, '(none)') AS room, count(*) AS sessions
FROM analytics_v1.sessions AS s
WHERE ${within('s.started_at')} AND ${ofOneAgent('s')}
GROUP BY s.room_name
ORDER BY count(*) DESC, s.room_name
LIMIT 20`,
  x: 'room',
  horizontal: true,
  links: all,
});

const slowest = table({
  title: 'Slowest first replies',
  description: definitions('first_reply_gap'),
  sql: `SELECT
    s.started_at AS started,
    s.id AS conversation,
    s.room_name AS room,
    s.first_reply_gap_seconds AS "first reply gap",
    s.turn_count AS turns,
    s.duration_seconds AS duration
FROM analytics_v1.sessions AS s
WHERE ${within('s.started_at')} AND ${ofOneAgent('s')} AND s.first_reply_gap_seconds IS NOT NULL
ORDER BY s.first_reply_gap_seconds DESC
LIMIT 50`,
  columns: [CONVERSATION, seconds('first reply gap'), seconds('duration')],
  width: 12,
  links: all,
});

const withoutUser = table({
  title: 'Sessions without a user message',
  description: definitions('silent_sessions'),
  sql: `SELECT
    s.started_at AS started,
    s.id AS conversation,
    s.room_name AS room,
    s.assistant_message_count AS "assistant messages",
    s.duration_seconds AS duration
FROM analytics_v1.sessions AS s
WHERE ${within('s.started_at')} AND ${ofOneAgent('s')} AND s.silent
ORDER BY s.started_at DESC
LIMIT 50`,
  columns: [CONVERSATION, seconds('duration')],
  width: 12,
  links: silent,
});

export const agent = dashboard({
  uid: 'verbatim-agent',
  title: 'One agent',
  description: 'Conversations of one agent.',
  from: 'now-7d',
  variables: [pageVariable, agentVariable, sourceVariable, bucketVariable, zoneVariable],
  links: all,
  panels: [
    sessionsTotal(ofOneAgent, all),
    engagementTotal(ofOneAgent, all),
    silentTotal(ofOneAgent, silent),
    messagesTotal(ofOneAgent, all),
    turnsTotal(ofOneAgent, all),
    durationTotal(ofOneAgent, longest),
    replyGapTotal(ofOneAgent, all),
    zone(all),
    sessionsOverTime(ofOneAgent, all),
    messagesOverTime(ofOneAgent, all),
    ratesOverTime(ofOneAgent, silent),
    durationOverTime(ofOneAgent, longest),
    row('Replies'),
    replyGapOverTime(ofOneAgent, all),
    firstReplyGapOverTime(ofOneAgent, all),
    firstReplyGapDistribution(ofOneAgent, all),
    longestSilenceOverTime(ofOneAgent, all),
    row('Length'),
    durationDistribution(ofOneAgent, longest),
    turnsDistribution(ofOneAgent, all),
    turnsPerSessionOverTime(ofOneAgent, all),
    incompleteByFlag(ofOneAgent, all),
    row('When and where'),
    sessionsByWeekday(ofOneAgent, all),
    { ...byRoom, width: 24 },
    row('One by one'),
    slowest,
    withoutUser,
  ],
});
