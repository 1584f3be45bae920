// Measures every query of the dashboards on generated facts of 5 million messages:
// `make bench-dashboards`. MESSAGES, DAYS and AGENTS set other sizes. Facts are generated in the
// database, without deliveries.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import pg from 'pg';

import { dashboards, panelsOf } from './support/files.mjs';
import { expandSql, Values } from './support/grafana.mjs';
import { run } from './support/programs.mjs';

const messages = Number(process.env.MESSAGES ?? 5_000_000);
const days = Number(process.env.DAYS ?? 120);
const agents = Number(process.env.AGENTS ?? 20);
/** Messages of a session. */
const LENGTH = 14;
/** Runs of each query; the fastest counts. */
const RUNS = 2;
const DAY_MS = 86_400_000;
/** Ranges in days: the default of dashboards, and usual selections. */
const RANGES = [1, 7, 30, 90];

const FILL = [
  `INSERT INTO session_facts (
      session_id, agent_id, source, room_name, started_at, last_activity_at, messages, user_messages,
      assistant_messages, turns, first_reply_gap_us, longest_silence_us, no_join, one_sided,
      repeated_user_turn, altered, out_of_order, undated
  )
  SELECT
      md5(i::text)::uuid, 'A' || (i % ${agents}), CASE WHEN i % 5 = 0 THEN 'kiosk' ELSE 'default' END,
      'room-' || (i % 40), at, at + interval '12 s' * ${LENGTH - 1},
      ${LENGTH}, ${LENGTH / 2}, ${LENGTH / 2}, ${LENGTH / 2}, 1000000 + random() * 9000000, 12000000,
      i % 23 = 0, false, i % 31 = 0, false, false, false
  FROM (
      SELECT i, now() - interval '1 day' * ${days} * random() AS at
      FROM generate_series(1, ${Math.round(messages / LENGTH)}) AS i
  ) AS s`,
  `INSERT INTO message_facts
  SELECT
      s.session_id, s.started_at + interval '12 s' * n, md5(s.session_id || n::text)::uuid, 0,
      s.agent_id, s.source, CASE WHEN n % 2 = 0 THEN 'user' ELSE 'assistant' END,
      CASE WHEN n % 7 = 0 THEN s.started_at + interval '12 s' * n END,
      CASE WHEN n % 7 <> 0 THEN 12000000 END,
      n % 2 = 0, n % 2 = 1, false, false, false, false
  FROM session_facts AS s CROSS JOIN generate_series(0, ${LENGTH - 1}) AS n
  ORDER BY s.started_at`,
  'INSERT INTO visit_facts SELECT * FROM computed_visits ORDER BY started_at',
  `INSERT INTO activity SELECT * FROM activity_of_facts(
      date_trunc('day', now() - interval '1 day' * ${days + 1}), date_trunc('day', now() + interval '1 day')
  )`,
  `INSERT INTO agents (agent_id, session_count, message_count, first_seen_at, last_activity_at)
  SELECT agent_id, count(*), sum(messages), min(started_at), max(last_activity_at)
  FROM session_facts GROUP BY agent_id`,
  'VACUUM (ANALYZE)',
];

/** Returns the CPU time of the server process in ms; null if the system does not provide it. */
function processorMs(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return null;
  }
}

async function main() {
  const folder = mkdtempSync(path.join(tmpdir(), 'verbatim-measure-'));
  const url = new URL(process.env.TEST_DATABASE_URL);
  const connection = { host: url.searchParams.get('host'), database: url.pathname.slice(1) };
  const env = { ...process.env, DATABASE_URL: url.href, VERBATIM_DATA_DIR: folder };
  await run(process.env.VERBATIM, ['migrate'], { env });
  await run(process.env.VERBATIM, ['readers', 'create', '--name', 'grafana'], { env });
  const owner = new pg.Client({ ...connection, user: 'postgres' });
  await owner.connect();
  for (const sql of FILL) await owner.query(sql);
  await owner.end();
  rmSync(folder, { recursive: true });

  const reader = new pg.Client({ ...connection, user: 'grafana' });
  await reader.connect();
  // The number of workers depends on the machine, and their time is not measured.
  await reader.query('SET max_parallel_workers_per_gather = 0');
  const { pid } = (await reader.query('SELECT pg_backend_pid() AS pid')).rows[0];
  const slowest = [];
  for (const [name, dashboard] of Object.entries(dashboards())) {
    for (const panel of panelsOf(dashboard)) {
      for (const { rawSql } of panel.targets) {
        if (rawSql === undefined) continue;
        for (const range of RANGES) {
          const to = new Date();
          const hasAll = dashboard.templating.list.find((each) => each.name === 'agent').includeAll;
          const values = new Values(dashboard, {
            from: new Date(to - range * DAY_MS),
            to,
            timezone: 'Europe/Berlin',
            agent: hasAll ? null : 'A1',
          });
          const times = [];
          for (let time = 0; time < RUNS; time += 1) {
            const [began, busy] = [performance.now(), processorMs(pid)];
            await reader.query(expandSql(rawSql, values));
            times.push({ ms: performance.now() - began, processor: processorMs(pid) - busy });
          }
          times.sort((a, b) => a.ms - b.ms);
          slowest.push({
            ...times[0],
            days: range,
            panel: `${name}: ${panel.title} (${panel.type})`,
          });
        }
      }
    }
  }
  await reader.end();
  slowest.sort((a, b) => b.ms - a.ms);
  for (const range of RANGES) {
    const of = slowest.filter((each) => each.days === range);
    console.log(`\n${range} days, ${of.length} queries; the slowest: ms, of them at work, panel`);
    for (const { ms, processor, panel } of of.slice(0, 8)) {
      const columns = [ms, processor].map((value) => String(Math.round(value)).padStart(7)).join('');
      console.log(`${columns}  ${panel}`);
    }
  }
}

await main();
