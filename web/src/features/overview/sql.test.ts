import { expect, test } from 'vitest';
import { distributionSql, figureSql, heatmapSql, seriesSql, topSql } from './sql';
import { funnelSql } from './sql-funnel';

const scope = {
  from: '2026-11-01T00:00:00Z',
  to: '2026-12-01T00:00:00Z',
  tz: 'Europe/Berlin',
  agents: ["A'1"],
  sources: ['default'],
  rooms: ['lobby'],
};
const everything = { ...scope, agents: [], sources: [], rooms: [] };

test('a figure is a query over the views, with range and filters', () => {
  expect(figureSql('reply_gap', 'p90', scope)).toBe(
    `SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY reply_gap_seconds) AS reply_gap
FROM analytics_v1.messages
WHERE occurred_at >= '2026-11-01T00:00:00Z'
  AND occurred_at < '2026-12-01T00:00:00Z'
  AND is_reply
  AND agent_id IN ('A''1')
  AND source IN ('default')
  AND session_uuid IN (SELECT id FROM analytics_v1.sessions WHERE room_name IN ('lobby'))`,
  );
});

test('a series asks for the same figure in each bucket of the zone', () => {
  const sql = seriesSql('sessions', 'count', 'day', everything);
  expect(sql).toContain(
    "buckets('2026-11-01T00:00:00Z', '2026-12-01T00:00:00Z', 'day', 'Europe/Berlin')",
  );
  expect(sql).toContain('WHERE started_at >= b.start');
});

test('hours of a heatmap are those of the zone', () => {
  expect(heatmapSql('visits', everything)).toContain(
    "extract(hour FROM started_at AT TIME ZONE 'Europe/Berlin') AS hour",
  );
});

test('bins and groups follow the chart', () => {
  expect(distributionSql('session_duration', [0, 10, 30], everything)).toContain(
    'ARRAY[0, 10, 30]',
  );
  expect(topSql('room', 'sessions', 'count', everything, 10)).toContain('GROUP BY room_name');
  expect(topSql('first_message', 'sessions', 'count', scope, 10)).toContain(
    "s.agent_id IN ('A''1')",
  );
  expect(funnelSql(90, everything)).toContain('> 90');
});
