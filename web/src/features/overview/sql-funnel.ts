import { filters, literal, type SqlScope } from './sql-readings';

/** Returns the query of a funnel of visits, which are divided where a silence is longer than the gap. */
export function funnelSql(gap: number, scope: SqlScope): string {
  const [from, to] = [literal(scope.from), literal(scope.to)];
  const conditions = [
    `s.started_at >= ${from}`,
    `s.started_at < ${to}`,
    ...filters(scope).map((one) => `s.${one}`),
  ];
  return `WITH said AS (
  SELECT
    s.id, m.role, m.occurred_at, m.tie,
    COALESCE(
      extract(epoch FROM m.occurred_at - lag(m.occurred_at) OVER session) > ${String(gap)},
      true
    )::integer AS starts_visit
  FROM analytics_v1.sessions AS s
  LEFT JOIN analytics_v1.messages AS m ON m.session_uuid = s.id
  WHERE ${conditions.join('\n    AND ')}
  WINDOW session AS (PARTITION BY s.id ORDER BY m.occurred_at, m.tie)
), numbered AS (
  SELECT *, sum(starts_visit) OVER (PARTITION BY id ORDER BY occurred_at, tie) AS visit
  FROM said
), followed AS (
  SELECT *, lag(role) OVER (PARTITION BY id, visit ORDER BY occurred_at, tie) AS role_before
  FROM numbered
), visits AS (
  SELECT
    count(*) FILTER (WHERE role = 'user' AND role_before IS DISTINCT FROM 'user') AS turns,
    (array_agg(role ORDER BY occurred_at DESC, tie DESC))[1] AS last_role
  FROM followed
  GROUP BY id, visit
)
SELECT
  count(*) AS joined,
  count(*) FILTER (WHERE turns >= 1) AS spoke,
  count(*) FILTER (WHERE turns >= 2) AS second_turn,
  count(*) FILTER (WHERE turns >= 2 AND last_role <> 'user') AS ended
FROM visits`;
}
