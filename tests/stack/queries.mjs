// Queries of dashboards, with the reader of deploy/compose/prepare.sh and a real Prometheus.

import assert from 'node:assert/strict';
import { before, after, describe, it } from 'node:test';

import { dashboards, panelsOf, readYaml } from './support/files.mjs';
import { expandPromql, expandSql, Values } from './support/grafana.mjs';
import { eventually } from './support/programs.mjs';
import { AGENT, SCRAPE_INTERVAL } from './support/world.mjs';

const DAY_MS = 86_400_000;
const QUARTER_MS = 900_000;
/** Longest time of a query, with little data. */
const SLOWEST_MS = 1000;

const ALL = dashboards();

/** Targets with a kind of query, with their dashboards and panels. */
const targets = (kind) =>
  Object.entries(ALL).flatMap(([name, dashboard]) =>
    panelsOf(dashboard).flatMap((panel) =>
      panel.targets
        .filter((target) => kind in target)
        .map((target) => ({ where: `${name}: ${panel.title}`, dashboard, panel, target })),
    ),
  );

const days = (count, to = new Date()) => {
  const end = Math.ceil(to.getTime() / QUARTER_MS) * QUARTER_MS;
  return { from: new Date(end - count * DAY_MS), to: new Date(end) };
};

export function sqlTests(world) {
  describe('queries of PostgreSQL', () => {
    let reader;
    let agents;
    before(async () => {
      reader = await world().connectAsReader();
      const { rows } = await reader.query('SELECT agent_id FROM analytics_v1.agents ORDER BY 1');
      agents = rows.map((each) => each.agent_id);
    });
    after(() => reader?.end());

    const slow = [];
    async function query(where, sql) {
      const began = performance.now();
      let result;
      try {
        result = await reader.query({ text: sql, rowMode: 'array' });
      } catch (error) {
        assert.fail(`${where}: ${error.message}\n${sql}`);
      }
      const took = performance.now() - began;
      slow.push([Math.round(took), where]);
      assert.ok(took < SLOWEST_MS, `${where}: ${took} ms`);
      return result;
    }

    /** Selections of a user, in several time zones of Grafana. */
    const choices = () => [
      { ...days(7), timezone: 'browser' },
      { ...days(14), timezone: 'Europe/Berlin', agent: agents.slice(0, 2), bucket: 'day' },
      { ...days(2), timezone: 'utc', source: 'default', bucket: '15m', zone: 'Asia/Kathmandu' },
      { ...days(0.25), timezone: 'America/New_York', agent: [AGENT, 'nobody'] },
      { ...days(90), timezone: 'Asia/Kolkata', zone: 'Africa/Cairo', bucket: 'month' },
      { ...days(400), timezone: 'Australia/Lord_Howe', source: "it's none" },
      { ...days(30), timezone: 'Pacific/Apia', bucket: 'week' },
      { ...days(3), timezone: 'Europe/London', bucket: 'hour' },
    ];

    const valuesOf = (dashboard, choice) => {
      const chosen = { ...choice };
      const agent = dashboard.templating.list.find((each) => each.name === 'agent');
      if (agent && !agent.multi) chosen.agent = [choice.agent ?? agents].flat().at(-1);
      return new Values(dashboard, chosen);
    };

    for (const { where, dashboard, panel, target } of targets('rawSql')) {
      it(`${where} runs with every selection`, async () => {
        for (const choice of choices()) {
          const sql = expandSql(target.rawSql, valuesOf(dashboard, choice));
          assert.ok(!sql.includes('$'), sql);
          const { fields, rows } = await query(where, sql);
          const names = fields.map((each) => each.name);
          if (target.format === 'time_series') {
            assert.equal(names[0], 'time', where);
            assert.ok(rows.length > 0, where);
            assert.ok(rows.every(([time]) => time instanceof Date), where);
            const times = rows.map(([time]) => time.getTime());
            assert.deepEqual(times, [...new Set(times)].sort((a, b) => a - b), where);
          }
          for (const { matcher } of panel.fieldConfig.overrides) {
            assert.ok(names.includes(matcher.options), `${where}: no column ${matcher.options}`);
          }
          if (panel.options.xField) assert.ok(names.includes(panel.options.xField), where);
          for (const [, field] of JSON.stringify(panel).matchAll(/__data\.fields\.(\w+)/g)) {
            assert.ok(names.includes(field), `${where}: a link needs the column ${field}`);
          }
        }
      });

      it(`${where} shows values for two weeks`, async () => {
        const values = valuesOf(dashboard, { ...days(14), timezone: 'UTC', agent: null });
        if (!values.variables.get('agent').multi) values.chosen.set('agent', AGENT);
        const { rows } = await query(where, expandSql(target.rawSql, values));
        const shown = rows.flatMap((row) => row.slice(row.length > 1 ? 1 : 0));
        const isEmpty = (value) => value === null || value === '0' || value === 0;
        assert.ok(shown.some((value) => !isEmpty(value)), where);
      });
    }

    it('variables list agents and sources', async () => {
      for (const [name, dashboard] of Object.entries(ALL)) {
        for (const variable of dashboard.templating.list) {
          if (variable.type !== 'query' || typeof variable.query !== 'string') continue;
          const values = new Values(dashboard, { ...days(14), timezone: 'UTC' });
          const { rows } = await query(`${name}: ${variable.name}`, expandSql(variable.query, values));
          const listed = rows.flat();
          if (variable.name === 'agent') assert.deepEqual(listed.sort(), agents);
          else assert.deepEqual(listed, ['default']);
        }
      }
    });

    it('zone is shown, and an unknown zone of the browser is UTC', async () => {
      const panel = panelsOf(ALL['conversations.json']).find((each) => each.title === 'Zone of days');
      const zoneOf = async (choice) => {
        const values = new Values(ALL['conversations.json'], { ...days(1), ...choice });
        return (await query('zone', expandSql(panel.targets[0].rawSql, values))).rows[0][0];
      };
      assert.equal(await zoneOf({ timezone: 'browser' }), 'UTC');
      assert.equal(await zoneOf({ timezone: 'Asia/Kolkata' }), 'Asia/Kolkata');
      assert.equal(await zoneOf({ timezone: 'browser', zone: 'Europe/Berlin' }), 'Europe/Berlin');
    });

    it('days are days of the zone', async () => {
      const panel = panelsOf(ALL['conversations.json']).find(
        (each) => each.title === 'Sessions' && each.type === 'timeseries',
      );
      const range = { from: new Date('2026-10-20T22:00:00Z'), to: new Date('2026-10-30T23:00:00Z') };
      const values = new Values(ALL['conversations.json'], {
        ...range,
        timezone: 'Europe/Berlin',
        bucket: 'day',
      });
      const { rows } = await query('days', expandSql(panel.targets[0].rawSql, values));
      const hours = rows.slice(1).map(([time], index) => (time - rows[index][0]) / 3_600_000);
      assert.deepEqual(hours, [24, 24, 24, 24, 25, 24, 24, 24, 24]);
    });

    it('figures agree with the API', async () => {
      const range = days(7);
      const metrics = [
        ['Sessions', 'sessions'],
        ['Engagement rate', 'engagement_rate'],
        ['Silent rate', 'silent_rate'],
        ['Messages', 'messages'],
        ['Turns', 'turns'],
        ['Session duration, average', 'session_duration'],
        ['Reply gap, average', 'reply_gap'],
      ];
      const parameters = new URLSearchParams([
        ['from', range.from.toISOString()],
        ['to', range.to.toISOString()],
        ...metrics.map(([, metric]) => ['metric', metric]),
      ]);
      const answer = await world().get(`/v1/analytics/summary?${parameters}`);
      const summary = await answer.json();
      assert.equal(answer.status, 200, JSON.stringify(summary));
      const stats = panelsOf(ALL['conversations.json']).filter((each) => each.type === 'stat');
      for (const [title, metric] of metrics) {
        const values = new Values(ALL['conversations.json'], { ...range, timezone: 'UTC' });
        const panel = stats.find((each) => each.title === title);
        const { rows } = await query(title, expandSql(panel.targets[0].rawSql, values));
        const expected = valueOf(summary, metric);
        assert.ok(expected > 0, metric);
        assert.ok(Math.abs(rows[0][0] - expected) <= 1e-6 * expected, `${title}: ${rows[0][0]}, ${expected}`);
      }
    });

    it('reports the slowest queries', () => {
      slow.sort(([a], [b]) => b - a);
      console.log(`slowest queries, ms: ${slow.slice(0, 3).map((each) => each.join(' ')).join('; ')}`);
    });
  });
}

/** Returns the value of a metric in an answer of /v1/analytics/summary. */
function valueOf(summary, metric) {
  const { value } = summary.data.find((each) => each.metric === metric);
  return value;
}

/** Panels that are empty for a healthy service. */
const EMPTY_WHILE_HEALTHY = /rebuild|inbox commit/;

export function promqlTests(world) {
  describe('queries of Prometheus', () => {
    before(async () => {
      const scraped = () => world().queryPrometheus('query', { query: 'count_over_time(up{job="verbatim"}[1m])' });
      // Rates need two values with a change between them.
      await eventually('scrapes', async () => {
        const { result } = await scraped();
        return Number(result[0]?.value[1] ?? 0) >= 2 || undefined;
      });
      await world().misfit();
      await eventually('further scrapes', async () => {
        const { result } = await scraped();
        return Number(result[0]?.value[1] ?? 0) >= 5 || undefined;
      });
    });

    it('service and Prometheus are scraped with the key of prepare.sh', async () => {
      const { activeTargets } = await world().queryPrometheus('targets');
      assert.equal(activeTargets.length, 2);
      for (const { health, lastError } of activeTargets) assert.equal(health, 'up', lastError);
    });

    it('rules are healthy, and only the provoked alert fires', async () => {
      const { groups } = await world().queryPrometheus('rules');
      const rules = groups.flatMap((each) => each.rules);
      assert.equal(
        rules.length,
        ['recording', 'alerts'].flatMap(
          (name) => readYaml('deploy', 'prometheus', 'rules', `${name}.yml`).groups[0].rules,
        ).length,
      );
      for (const { name, health, lastError } of rules) assert.equal(health, 'ok', `${name}: ${lastError}`);
      const firing = rules.filter((each) => each.state === 'firing').map((each) => each.name);
      assert.deepEqual(firing.filter((name) => name !== 'VerbatimQuarantine'), []);
    });

    it('every named metric exists', async () => {
      const recorded = new Set(
        readYaml('deploy', 'prometheus', 'rules', 'recording.yml').groups[0].rules.map((r) => r.record),
      );
      const text = await (await world().get('/metrics')).text();
      const known = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
      assert.ok(known.size > 30);
      const expressions = [
        ...targets('expr').map(({ where, target }) => [where, target.expr]),
        ...['recording', 'alerts'].flatMap((name) =>
          readYaml('deploy', 'prometheus', 'rules', `${name}.yml`).groups[0].rules.map((rule) => [
            rule.alert ?? rule.record,
            rule.expr,
          ]),
        ),
      ];
      for (const [where, expression] of expressions) {
        const names = expression.match(/\b(?:verbatim|process)_\w+/g) ?? [];
        for (const name of names) {
          if ([...recorded].some((each) => each.includes(name))) continue;
          const family = name.replace(/_(bucket|count|sum)$/, '');
          assert.ok(known.has(name) || known.has(family), `${where}: ${name}`);
        }
      }
    });

    for (const { where, dashboard, target } of targets('expr')) {
      it(`${where} (${target.legendFormat ?? 'one value'}) has values`, async () => {
        for (const instance of [null, [`127.0.0.1:${world().port}`], ['a', `127.0.0.1:${world().port}`]]) {
          const now = new Date();
          const values = new Values(dashboard, {
            from: new Date(now - 60_000),
            to: now,
            timezone: 'UTC',
            instance,
          });
          const query = expandPromql(target.expr, values, SCRAPE_INTERVAL);
          assert.ok(!query.includes('$'), query);
          const { result } = target.instant
            ? await world().queryPrometheus('query', { query })
            : await world().queryPrometheus('query_range', {
                query,
                start: now.getTime() / 1000 - 60,
                end: now.getTime() / 1000,
                step: 1,
              });
          assert.ok(result.length > 0 || EMPTY_WHILE_HEALTHY.test(target.legendFormat), `${where}: ${query}`);
          if (target.legendFormat) {
            const labels = [...target.legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, name]) => name);
            for (const { metric } of result) {
              for (const label of labels) assert.ok(label in metric, `${where}: no label ${label}`);
            }
          }
        }
      });
    }

    it('list of instances has the service', async () => {
      const { query } = ALL['verbatim.json'].templating.list.find((each) => each.name === 'instance').query;
      const [, metric, label] = /^label_values\((\w+), (\w+)\)$/.exec(query) ?? [];
      const series = await world().queryPrometheus('series', { 'match[]': metric });
      assert.deepEqual([...new Set(series.map((each) => each[label]))], [`127.0.0.1:${world().port}`]);
    });
  });
}
