import type { Bucket } from './buckets';
import type { MetricName, StatName } from './query';
import { expression, filters, literal, READINGS, rowsOf, type SqlScope } from './sql-readings';

export type { SqlScope } from './sql-readings';

/** The largest number of sessions at one instant: sessions come and go, and their number is a running sum. */
function concurrent(scope: SqlScope, from: string, to: string): string {
  const conditions = [`started_at < ${to}`, `last_activity_at >= ${from}`, ...filters(scope)];
  const where = conditions.join('\n    AND ');
  return `SELECT max(running) AS concurrent_sessions
FROM (
  SELECT sum(step) OVER (ORDER BY at, step DESC) AS running
  FROM (
    SELECT started_at AS at, 1 AS step
    FROM analytics_v1.sessions
    WHERE ${where}
    UNION ALL
    SELECT last_activity_at, -1
    FROM analytics_v1.sessions
    WHERE ${where}
  ) AS steps
) AS sums`;
}

function figure(metric: MetricName, stat: StatName, scope: SqlScope, from: string, to: string) {
  if (metric === 'concurrent_sessions') return concurrent(scope, from, to);
  const reading = READINGS[metric];
  return `SELECT ${expression(reading, stat)} AS ${metric}\n${rowsOf(reading, scope, from, to)}`;
}

const bounds = (scope: SqlScope) => [literal(scope.from), literal(scope.to)] as const;

/** Returns the query of a metric over the range. */
export function figureSql(metric: MetricName, stat: StatName, scope: SqlScope): string {
  return figure(metric, stat, scope, ...bounds(scope));
}

/** Returns the query of a metric by bucket. */
export function seriesSql(
  metric: MetricName,
  stat: StatName,
  bucket: Bucket,
  scope: SqlScope,
): string {
  const inner = figure(metric, stat, scope, 'b.start', 'b.end').replaceAll('\n', '\n  ');
  const [from, to] = bounds(scope);
  return `SELECT b.start, b.end, f.${metric}
FROM analytics_v1.buckets(${from}, ${to}, ${literal(bucket)}, ${literal(scope.tz)}) AS b
CROSS JOIN LATERAL (
  ${inner}
) AS f
ORDER BY b.start`;
}

/** Returns the query of a metric by weekday (1 is Monday) and hour of the zone's clock. */
export function heatmapSql(metric: MetricName, scope: SqlScope): string {
  if (metric === 'concurrent_sessions') return figureSql(metric, 'max', scope);
  const reading = READINGS[metric];
  const local = `${reading.time} AT TIME ZONE ${literal(scope.tz)}`;
  return `SELECT
  extract(isodow FROM ${local}) AS weekday,
  extract(hour FROM ${local}) AS hour,
  ${expression(reading, 'count')} AS ${metric}
${rowsOf(reading, scope, ...bounds(scope))}
GROUP BY 1, 2
ORDER BY 1, 2`;
}

/** Returns the query of a metric's histogram: bin 1 starts at the first edge. */
export function distributionSql(
  metric: MetricName,
  edges: readonly number[],
  scope: SqlScope,
): string {
  if (metric === 'concurrent_sessions') return figureSql(metric, 'max', scope);
  const reading = READINGS[metric];
  const list = `ARRAY[${edges.join(', ')}]::double precision[]`;
  return `SELECT
  width_bucket(${reading.value ?? '0'}::double precision, ${list}) AS bin,
  count(*)
${rowsOf(reading, scope, ...bounds(scope))}
GROUP BY 1
ORDER BY 1`;
}

const GROUP_COLUMNS = { agent: 'agent_id', source: 'source', room: 'room_name' } as const;

/** Returns the query of the largest groups by a metric. */
export function topSql(
  by: 'agent' | 'source' | 'room' | 'first_message',
  metric: MetricName,
  stat: StatName,
  scope: SqlScope,
  limit: number,
): string {
  if (by === 'first_message') return firstMessageSql(scope, limit);
  if (metric === 'concurrent_sessions') return figureSql(metric, stat, scope);
  const reading = READINGS[metric];
  const column = GROUP_COLUMNS[by];
  return `SELECT ${column}, ${expression(reading, stat)} AS ${metric}
${rowsOf(reading, scope, ...bounds(scope))}
GROUP BY ${column}
ORDER BY ${metric} DESC NULLS LAST
LIMIT ${String(limit)}`;
}

/** Needs a reader with text. */
function firstMessageSql(scope: SqlScope, limit: number): string {
  const [from, to] = bounds(scope);
  const conditions = [`started_at >= ${from}`, `started_at < ${to}`, ...filters(scope)];
  return `SELECT left(first.message, 200) AS first_message, count(*) AS sessions
FROM analytics_v1.sessions AS s
LEFT JOIN LATERAL (
  SELECT message
  FROM analytics_v1.message_texts
  WHERE session_uuid = s.id AND role = 'user'
  ORDER BY occurred_at
  LIMIT 1
) AS first ON true
WHERE ${conditions.map((one) => `s.${one}`).join('\n  AND ')}
GROUP BY 1
ORDER BY sessions DESC
LIMIT ${String(limit)}`;
}
