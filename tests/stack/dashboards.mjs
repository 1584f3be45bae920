// Dashboards as files: form, types, links, descriptions.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';

import { DASHBOARDS, textOf } from '../../deploy/grafana/generate.mjs';
import { at, dashboards, list, panelsOf, read, readYaml } from './support/files.mjs';
import { misfits } from './support/types.mjs';

const ALL = dashboards();
const FOLDER = ['deploy', 'grafana'];

/** Every text in a value. */
function* texts(value) {
  if (typeof value === 'string') yield value;
  else if (value && typeof value === 'object') for (const each of Object.values(value)) yield* texts(each);
}

describe('dashboards', () => {
  it('match the output of the generator', () => {
    assert.deepEqual(Object.keys(ALL), Object.keys(DASHBOARDS).sort());
    for (const name of Object.keys(DASHBOARDS)) {
      assert.ok(read(...FOLDER, 'dashboards', name) === textOf(name), `${name}: run make dashboards`);
    }
  });

  it('have their titles, and unique uids', () => {
    const titles = Object.values(ALL).map((each) => each.title);
    assert.deepEqual(titles.sort(), ['Conversations', 'Kiosk visits', 'One agent', 'Verbatim itself']);
    assert.equal(new Set(Object.values(ALL).map((each) => each.uid)).size, 4);
    for (const { uid, id } of Object.values(ALL)) {
      assert.match(uid, /^[a-z-]{8,40}$/);
      assert.equal(id, null);
    }
  });

  it('fit the types of @grafana/schema', () => {
    assert.deepEqual(misfits(ALL), []);
  });

  it('do not fit them with a wrong member, type or value', () => {
    const broken = structuredClone(ALL['conversations.json']);
    const [first, second] = panelsOf(broken);
    first.options.colourMode = 'value';
    second.fieldConfig.defaults.unit = 7;
    broken.panels.find((each) => each.type === 'timeseries').options.tooltip.mode = 'all';
    broken.templating.list[0].type = 'constants';
    assert.equal(misfits({ broken }).length, 4);
  });

  it('refer to provisioned datasources by uid', () => {
    const { datasources } = readYaml(...FOLDER, 'provisioning', 'datasources', 'verbatim.yaml');
    const provisioned = new Map(datasources.map((each) => [each.uid, each.type]));
    const check = ({ type, uid }) => assert.equal(provisioned.get(uid), type, uid);
    for (const dashboard of Object.values(ALL)) {
      assert.ok(!('__inputs' in dashboard) && !('__requires' in dashboard));
      for (const { datasource } of dashboard.templating.list) if (datasource) check(datasource);
      for (const panel of panelsOf(dashboard)) {
        check(panel.datasource);
        for (const target of panel.targets) check(target.datasource);
      }
      for (const text of texts(dashboard)) assert.doesNotMatch(text, /\$\{DS_/);
    }
  });

  it('use buckets of the time zone, and no macro that uses UTC', () => {
    for (const [name, dashboard] of Object.entries(ALL)) {
      for (const text of texts(dashboard)) assert.doesNotMatch(text, /\$__(timeGroup|unixEpoch)/);
      for (const panel of panelsOf(dashboard)) {
        for (const { rawSql, format } of panel.targets) {
          if (format !== 'time_series') continue;
          assert.match(rawSql, /analytics_v1\.buckets\(/, `${name}: ${panel.title}`);
          assert.match(rawSql, /NULLIF\('\$__timezone', 'browser'\)/, `${name}: ${panel.title}`);
        }
      }
    }
  });

  it('describe each panel as the catalogue does', () => {
    const catalogue = read('docs', 'reference', 'metrics-catalog.md');
    for (const [name, dashboard] of Object.entries(ALL)) {
      for (const panel of panelsOf(dashboard)) {
        assert.ok(panel.description.length > 5, `${name}: ${panel.title}`);
      }
    }
    const [sessions] = panelsOf(ALL['conversations.json']);
    assert.ok(catalogue.includes(`\n\n${sessions.description}\n`), sessions.description);
  });

  it('link from every panel to conversations on the page', () => {
    for (const [name, dashboard] of Object.entries(ALL)) {
      for (const panel of panelsOf(dashboard)) {
        const urls = panel.links.map((each) => each.url);
        const where = `${name}: ${panel.title}`;
        assert.ok(urls.some((url) => url.startsWith('${page}/conversations?')), where);
        for (const url of [...texts(panel)].filter((text) => text.startsWith('${page}'))) {
          checkAddress(url, where);
        }
      }
    }
  });

  it('have no panel that overlaps another or is outside the grid', () => {
    for (const [name, { panels }] of Object.entries(ALL)) {
      const cells = new Map();
      assert.equal(new Set(panels.map((each) => each.id)).size, panels.length);
      for (const { title, gridPos } of panels) {
        const { x, y, w, h } = gridPos;
        assert.ok(x >= 0 && x + w <= 24, `${name}: ${title}`);
        for (let column = x; column < x + w; column += 1) {
          for (let line = y; line < y + h; line += 1) {
            const cell = `${column},${line}`;
            assert.ok(!cells.has(cell), `${name}: ${title} is over ${cells.get(cell)}`);
            cells.set(cell, title);
          }
        }
      }
    }
  });

  it('are written by start.sh with the address of the page', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'verbatim-dashboards-'));
    const begin = (page) =>
      spawnSync('sh', [at(...FOLDER, 'start.sh'), 'sh', '-c', 'printf %s "$VERBATIM_READER_PASSWORD"'], {
        encoding: 'utf8',
        env: {
          ...process.env,
          VERBATIM_DASHBOARDS: folder,
          VERBATIM_DASHBOARDS_SOURCE: at(...FOLDER, 'dashboards'),
          VERBATIM_PAGE_URL: page,
          VERBATIM_READER_PASSWORD_FILE: at('LICENSE-MIT'),
        },
      });
    try {
      const { status, stdout, stderr } = begin('https://verbatim.example.com/');
      assert.equal(status, 0, stderr);
      assert.equal(stdout, read('LICENSE-MIT').trimEnd());
      assert.deepEqual(readdirSync(folder).sort(), list(...FOLDER, 'dashboards'));
      for (const name of readdirSync(folder)) {
        const text = readFileSync(path.join(folder, name), 'utf8');
        const page = JSON.parse(text).templating.list.find((each) => each.name === 'page');
        assert.equal(page.query, 'https://verbatim.example.com');
        assert.equal(page.current.value, 'https://verbatim.example.com');
        assert.ok(!text.includes('localhost'));
      }
      for (const wrong of ['verbatim.example.com', 'https://a|b', 'https://a"b', 'https://a b']) {
        assert.equal(begin(wrong).status, 1, wrong);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** Parameters of the page's views. The page ignores unknown ones silently. */
const PARAMETERS = {
  conversations: readParameters('conversations'),
  deliveries: readParameters('deliveries'),
};

function readParameters(feature) {
  const text = read('web', 'src', 'features', feature, 'search.ts');
  return new Set([...text.matchAll(/(?:Param\(search|date\()(?:, )?'?(\w+)'/g)].map(([, name]) => name));
}

function checkAddress(url, where) {
  const { pathname, searchParams } = new URL(
    url
      .replace('${page}', 'http://page')
      .replace(/\$\{__(from|to):date:iso\}/g, '2026-10-01T00:00:00.000Z')
      .replace(/\$\{(agent|source):customqueryparam:(\w+)\}/g, '$2=value')
      .replace(/\$\{__data\.fields\.\w+(:percentencode)?\}/g, 'value'),
  );
  assert.ok(!url.includes('$') || !`${pathname}${searchParams}`.includes('$'), `${where}: ${url}`);
  const [, view, ...rest] = pathname.split('/');
  assert.ok(['conversations', 'deliveries', 'health'].includes(view), `${where}: ${url}`);
  assert.ok(rest.length <= 1);
  for (const name of searchParams.keys()) {
    assert.ok(PARAMETERS[view]?.has(name), `${where}: the page knows no ${name}`);
  }
}
