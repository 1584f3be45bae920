// Configuration and rules of Prometheus, with promtool.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';

import { anchorsOf, at, list, read, readYaml } from './support/files.mjs';
import { run } from './support/programs.mjs';

const FOLDER = at('deploy', 'prometheus');
const rulesOf = (name) => readYaml('deploy', 'prometheus', 'rules', name).groups.flatMap((g) => g.rules);
const alerts = rulesOf('alerts.yml');

describe('rules of Prometheus', () => {
  it('pass promtool check', async () => {
    const files = list('deploy', 'prometheus', 'rules').map((name) => path.join(FOLDER, 'rules', name));
    const { stdout } = await run('promtool', ['check', 'rules', ...files]);
    assert.match(stdout, /SUCCESS/);
    // The key's path is in the container: replace it.
    const folder = mkdtempSync(path.join(tmpdir(), 'verbatim-promtool-'));
    try {
      const key = path.join(folder, 'key');
      writeFileSync(key, 'key');
      const config = read('deploy', 'prometheus', 'prometheus.yml')
        .replace('/run/verbatim/prometheus/key', key)
        .replace('rules/*.yml', path.join(FOLDER, 'rules', '*.yml'));
      const file = path.join(folder, 'prometheus.yml');
      writeFileSync(file, config);
      const checked = await run('promtool', ['check', 'config', '--lint-fatal', file]);
      assert.match(checked.stdout, /2 rule files found/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('pass promtool test', async () => {
    const { stdout, stderr } = await run('promtool', ['test', 'rules', path.join(FOLDER, 'tests', 'alerts.yml')]);
    assert.match(`${stdout}${stderr}`, /SUCCESS/);
  });

  it('have a test for every alert', () => {
    const tests = read('deploy', 'prometheus', 'tests', 'alerts.yml');
    for (const { alert } of alerts) assert.match(tests, new RegExp(`\\b${alert}\\b`), alert);
  });

  it('link every alert to a section of the troubleshooting page', () => {
    for (const { alert, annotations, labels } of alerts) {
      const [page, anchor] = annotations.runbook.split('#');
      assert.equal(page, 'docs/operations/troubleshooting.md', alert);
      assert.ok(anchorsOf(read(page)).has(anchor), `${alert}: no section ${anchor}`);
      assert.ok(['critical', 'warning'].includes(labels.severity), alert);
      assert.ok(annotations.summary && annotations.description, alert);
    }
  });
});
