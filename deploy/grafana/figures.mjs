// Panels of several dashboards, for the agents that match the condition `of`.

import {
  barChart,
  BUCKETS,
  column,
  definitions,
  distribution,
  stat,
  timeSeries,
  weekdays,
  within,
  ZONE,
} from './parts.mjs';

/** Sums of quarter hours over the range. */
const total = (expression, of) => `SELECT ${expression} AS value
FROM analytics_v1.activity_15m AS a
WHERE ${within('a.start')} AND ${of('a')}`;

const ratio = (part, whole) => `sum(${part})::double precision / NULLIF(sum(${whole}), 0)`;

/** One value of the range. */
const totalOf = (title, metrics, expression, more) => (of, links) =>
  stat({
    title,
    description: definitions(...metrics),
    sql: total(expression, of),
    links,
    width: 3,
    ...more,
  });

export const sessionsTotal = totalOf('Sessions', ['sessions'], 'COALESCE(sum(a.sessions), 0)');
export const visitsTotal = totalOf('Visits', ['visits'], 'COALESCE(sum(a.visits), 0)');
export const messagesTotal = totalOf('Messages', ['messages'], 'COALESCE(sum(a.messages), 0)');
export const turnsTotal = totalOf('Turns', ['turns'], 'COALESCE(sum(a.turns), 0)');
export const engagementTotal = totalOf(
  'Engagement rate',
  ['engagement_rate'],
  ratio('a.engaged_sessions', 'a.sessions'),
  { unit: 'percentunit' },
);
export const silentTotal = totalOf(
  'Silent rate',
  ['silent_rate'],
  ratio('a.silent_sessions', 'a.sessions'),
  { unit: 'percentunit' },
);
export const durationTotal = totalOf(
  'Session duration, average',
  ['session_duration'],
  ratio('a.session_duration_seconds', 'a.sessions'),
  { unit: 's' },
);
export const replyGapTotal = totalOf(
  'Reply gap, average',
  ['reply_gap'],
  ratio('a.reply_gap_seconds', 'a.reply_gaps'),
  { unit: 's' },
);

/** Time zone of days and hours. */
export const zone = (links) =>
  stat({
    title: 'Zone of days',
    description:
      'Time zone of days, hours and weekdays: the variable Zone, or else the zone of the ' +
      'dashboard. UTC where the dashboard follows the browser and Grafana does not name its zone: ' +
      'choose one then.',
    sql: `SELECT ${ZONE} AS zone`,
    unit: 'string',
    fields: '/.*/',
    width: 3,
    links,
  });

/** Sums of quarter hours by bucket. */
const activity = (columns, of) => `SELECT
    b.start AS time,
${columns.map(([name, expression]) => `    ${expression} AS "${name}"`).join(',\n')}
FROM ${BUCKETS}
LEFT JOIN analytics_v1.activity_15m AS a
    ON a.start >= b.start AND a.start < b."end" AND ${of('a')}
GROUP BY b.start
ORDER BY b.start`;

const sum = (name) => `COALESCE(sum(a.${name}), 0)`;

export const sessionsOverTime = (of, links) =>
  timeSeries({
    title: 'Sessions',
    description: definitions(
      'sessions',
      'engaged_sessions',
      'silent_sessions',
      'single_turn_sessions',
    ),
    sql: activity(
      [
        ['sessions', sum('sessions')],
        ['engaged', sum('engaged_sessions')],
        ['silent', sum('silent_sessions')],
        ['single turn', sum('single_turn_sessions')],
      ],
      of,
    ),
    bars: true,
    links,
  });

export const messagesOverTime = (of, links) =>
  timeSeries({
    title: 'Messages',
    description: definitions('messages', 'user_messages', 'assistant_messages'),
    sql: activity(
      [
        ['user', sum('user_messages')],
        ['assistant', sum('assistant_messages')],
        ['other roles', 'COALESCE(sum(a.messages - a.user_messages - a.assistant_messages), 0)'],
      ],
      of,
    ),
    bars: true,
    stacked: true,
    links,
  });

export const visitsOverTime = (of, links) =>
  timeSeries({
    title: 'Visits',
    description: definitions('visits', 'sessions'),
    sql: activity([['visits', sum('visits')], ['sessions', sum('sessions')]], of),
    bars: true,
    links,
  });

export const ratesOverTime = (of, links) =>
  timeSeries({
    title: 'Rates',
    description: definitions('engagement_rate', 'silent_rate', 'single_turn_rate'),
    sql: activity(
      [
        ['engagement', ratio('a.engaged_sessions', 'a.sessions')],
        ['silent', ratio('a.silent_sessions', 'a.sessions')],
        ['single turn', ratio('a.single_turn_sessions', 'a.sessions')],
      ],
      of,
    ),
    unit: 'percentunit',
    max: 1,
    links,
  });

export const replyGapOverTime = (of, links) =>
  timeSeries({
    title: 'Reply gap, average',
    description: definitions('reply_gap'),
    sql: activity([['reply gap', ratio('a.reply_gap_seconds', 'a.reply_gaps')]], of),
    unit: 's',
    links,
  });

const percentile = (fraction, value) =>
  `percentile_cont(${fraction}) WITHIN GROUP (ORDER BY ${value})`;

// LATERAL: each bucket reads only its rows, by the index on their time. A plain join computes
// expensive views such as visits for all rows first.
/** Percentiles of a view's rows by bucket. */
const percentiles = ({ title, metric, value, view, at, of, unit, links }) =>
  timeSeries({
    title,
    description: definitions(metric),
    sql: `SELECT b.start AS time, p.p50, p.p90
FROM ${BUCKETS}
CROSS JOIN LATERAL (
    SELECT
        ${percentile('0.5', value)} AS p50,
        ${percentile('0.9', value)} AS p90
    FROM ${view}
    WHERE ${at} >= b.start AND ${at} < b."end" AND ${of(value.split('.')[0])}
) AS p
ORDER BY b.start`,
    unit,
    links,
  });

const ofSessions = (title, metric, value, unit) => (of, links) =>
  percentiles({
    title,
    metric,
    value: `s.${value}`,
    view: 'analytics_v1.sessions AS s',
    at: 's.started_at',
    of,
    unit,
    links,
  });

export const durationOverTime = ofSessions(
  'Session duration',
  'session_duration',
  'duration_seconds',
  's',
);
export const firstReplyGapOverTime = ofSessions(
  'First reply gap',
  'first_reply_gap',
  'first_reply_gap_seconds',
  's',
);
export const turnsPerSessionOverTime = ofSessions(
  'Turns per session',
  'turns_per_session',
  'turn_count',
  'short',
);
export const messagesPerSessionOverTime = ofSessions(
  'Messages per session',
  'messages_per_session',
  'message_count',
  'short',
);
export const longestSilenceOverTime = ofSessions(
  'Longest silence',
  'longest_silence',
  'longest_silence_seconds',
  's',
);

export const visitDurationOverTime = (of, links) => ({
  ...percentiles({
    title: 'Visit duration',
    metric: 'visits',
    value: 'v.duration_seconds',
    view: 'analytics_v1.visits AS v',
    at: 'v.started_at',
    of,
    unit: 's',
    links,
  }),
  description: 'Time from a visit\'s start to its last message.',
});

export const durationDistribution = (of, links) =>
  distribution({
    title: 'Session duration',
    metric: 'session_duration',
    value: 's.duration_seconds',
    from: 'analytics_v1.sessions AS s',
    where: `${within('s.started_at')} AND ${of('s')}`,
    unit: 'seconds',
    links,
  });

export const firstReplyGapDistribution = (of, links) =>
  distribution({
    title: 'First reply gap',
    metric: 'first_reply_gap',
    value: 's.first_reply_gap_seconds',
    from: 'analytics_v1.sessions AS s',
    where: `${within('s.started_at')} AND ${of('s')} AND s.first_reply_gap_seconds IS NOT NULL`,
    unit: 'seconds',
    links,
  });

export const turnsDistribution = (of, links) =>
  distribution({
    title: 'Turns per session',
    metric: 'turns_per_session',
    value: 's.turn_count::double precision',
    from: 'analytics_v1.sessions AS s',
    where: `${within('s.started_at')} AND ${of('s')}`,
    unit: 'turns',
    links,
  });

const byWeekday = (title, metric, name) => (of, links) =>
  weekdays({
    title,
    description: `${definitions(metric)}\n\nTotals of the range by weekday and hour.`,
    value: `t.${name}`,
    from: { columns: `a.${name}`, view: 'analytics_v1.activity_15m AS a' },
    at: 'a.start',
    where: `${within('a.start')} AND ${of('a')}`,
    links,
  });

export const sessionsByWeekday = byWeekday('Sessions by weekday and hour', 'sessions', 'sessions');
export const visitsByWeekday = byWeekday('Visits by weekday and hour', 'visits', 'visits');

const FLAGS = [
  'no_join',
  'one_sided',
  'repeated_user_turn',
  'altered',
  'out_of_order',
  'undated',
];

export const incompleteByFlag = (of, links) =>
  barChart({
    title: 'Incomplete sessions by flag',
    description: definitions('incomplete_sessions'),
    sql: `SELECT f.flag, f.sessions
FROM (
    SELECT
${FLAGS.map((flag) => `        count(*) FILTER (WHERE s.${flag}) AS ${flag}`).join(',\n')}
    FROM analytics_v1.sessions AS s
    WHERE ${within('s.started_at')} AND ${of('s')}
) AS c
CROSS JOIN LATERAL (
    VALUES
${FLAGS.map((flag) => `        ('${flag}', c.${flag})`).join(',\n')}
) AS f (flag, sessions)
ORDER BY f.sessions DESC`,
    x: 'flag',
    horizontal: true,
    links,
  });

/** A column of seconds. */
export const seconds = (name) => column(name, { unit: 's' });
/** A column of a ratio. */
export const percent = (name) => column(name, { unit: 'percentunit', decimals: 0 });
