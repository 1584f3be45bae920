// Checks manifests, built by kubectl if it is installed, against the schemas of Kubernetes (from a
// package of PyPI).

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { at, documents, read } from './support/files.mjs';
import { run } from './support/programs.mjs';

/** Oldest and newest supported version, and one between. */
const VERSIONS = ['1.29', '1.33', '1.37'];
/** Kinds that the Prometheus Operator defines, without a schema of Kubernetes. */
const CUSTOM = ['ServiceMonitor'];

/** kubectl contains Kustomize. */
const CAN_BUILD = spawnSync('kubectl', ['version', '--client']).status === 0;
const NEEDS_KUBECTL = !CAN_BUILD && 'kubectl is missing';

/** Returns the documents of a folder: built by Kustomize or, without it, from the files. */
async function build(name) {
  const folder = at('deploy', 'kubernetes', name);
  if (CAN_BUILD) return documents((await run('kubectl', ['kustomize', folder])).stdout);
  const isResource = (file) => file.endsWith('.yaml') && file !== 'kustomization.yaml';
  const files = readdirSync(folder).filter(isResource);
  return files.flatMap((file) => documents(readFileSync(path.join(folder, file), 'utf8')));
}

export function kubernetesTests(validate) {
  describe('manifests of Kubernetes', () => {
    let folder;
    const built = {};
    before(async () => {
      folder = mkdtempSync(path.join(tmpdir(), 'verbatim-kubernetes-'));
      for (const name of ['base', 'example']) {
        built[name] = await build(name);
      }
    });
    after(() => rmSync(folder, { recursive: true }));
    const only = (name, kind) => built[name].filter((each) => each.kind === kind);

    /** Checks documents against a version, and returns the output. */
    async function check(list, version) {
      const files = list.map((document, index) => {
        const file = path.join(folder, `${index}.yaml`);
        writeFileSync(file, JSON.stringify(document));
        return file;
      });
      return run(validate, ['--strict', '-k', version, ...files]);
    }

    for (const version of VERSIONS) {
      it(`fit the schemas of ${version}`, async () => {
        for (const list of Object.values(built)) {
          const known = list.filter(({ kind }) => !CUSTOM.includes(kind));
          const { stdout, stderr } = await check(known, version);
          const passed = `${stdout}${stderr}`.match(/ passed for resource /g) ?? [];
          assert.equal(passed.length, known.length);
        }
      });
    }

    it('are rejected with an unknown key', async () => {
      const [wrong] = structuredClone(only('base', 'StatefulSet'));
      wrong.spec.template.spec.containers[0].readynessProbe = {};
      await assert.rejects(check([wrong], VERSIONS[0]));
    });

    it('meet the needs of a service with an inbox', { skip: NEEDS_KUBECTL }, () => {
      const kinds = built.base.map((each) => each.kind).sort();
      assert.deepEqual(kinds, [
        'ConfigMap',
        'NetworkPolicy',
        'PodDisruptionBudget',
        'Service',
        'Service',
        'ServiceAccount',
        'StatefulSet',
      ]);
      const [{ spec }] = only('base', 'StatefulSet');
      const [container] = spec.template.spec.containers;
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
        assert.equal(container[probe].httpGet.port, 'http', probe);
      }
      assert.equal(container.readinessProbe.httpGet.path, '/readyz');
      assert.equal(container.livenessProbe.httpGet.path, '/healthz');
      assert.deepEqual(container.securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      assert.equal(spec.template.spec.securityContext.runAsNonRoot, true);
      const mounts = new Set(container.volumeMounts.map((each) => each.name));
      const volumes = [...spec.volumeClaimTemplates.map((each) => each.metadata.name)];
      volumes.push(...spec.template.spec.volumes.map((each) => each.name));
      assert.deepEqual(new Set(volumes), mounts);
      assert.deepEqual(spec.persistentVolumeClaimRetentionPolicy, {
        whenDeleted: 'Retain',
        whenScaled: 'Retain',
      });
      const services = only('base', 'Service').map((each) => each.metadata.name);
      assert.ok(services.includes(spec.serviceName));
    });

    it('select the existing pods', { skip: NEEDS_KUBECTL }, () => {
      const [{ spec }] = only('base', 'StatefulSet');
      const { labels } = spec.template.metadata;
      const selectors = [
        spec.selector.matchLabels,
        ...only('base', 'Service').map((each) => each.spec.selector),
        ...only('base', 'PodDisruptionBudget').map((each) => each.spec.selector.matchLabels),
        ...only('base', 'NetworkPolicy').map((each) => each.spec.podSelector.matchLabels),
      ];
      for (const selector of selectors) {
        assert.ok(Object.keys(selector).length > 0);
        for (const [name, value] of Object.entries(selector)) assert.equal(labels[name], value);
      }
    });

    it('contain no secret, and read secrets from files', () => {
      assert.equal(only('base', 'Secret').length, 0);
      const settings = read('deploy', 'kubernetes', 'base', 'settings.env');
      for (const line of settings.trim().split('\n')) {
        const [name, value] = line.split('=');
        if (/SECRET|KEY|DATABASE_URL/.test(name)) {
          assert.match(name, /_FILE$/);
          assert.ok(value.startsWith('/etc/verbatim/secrets/'), line);
        }
      }
    });

    it('let the ServiceMonitor find the port of each pod', { skip: NEEDS_KUBECTL }, () => {
      const [monitor] = only('example', 'ServiceMonitor');
      const { matchLabels } = monitor.spec.selector;
      const matching = only('example', 'Service').filter(({ metadata }) =>
        Object.entries(matchLabels).every(([name, value]) => metadata.labels[name] === value),
      );
      assert.deepEqual(matching.map((each) => each.metadata.name), ['verbatim-pods']);
      const ports = matching[0].spec.ports.map((each) => each.name);
      assert.ok(ports.includes(monitor.spec.endpoints[0].port));
      // Job name of rules and dashboards.
      assert.equal(matching[0].metadata.labels[monitor.spec.jobLabel], 'verbatim');
      assert.ok(only('example', 'StatefulSet')[0].spec.template.spec.containers[0].image.startsWith('registry.'));
    });
  });
}
