// docker-compose.yml, checked by the real Docker Compose (from a package of PyPI), without an engine.

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { at, read, readYaml } from './support/files.mjs';
import { run } from './support/programs.mjs';

const SECRETS = ['VERBATIM_WEBHOOK_SECRET', 'VERBATIM_API_KEY', 'GRAFANA_PASSWORD', 'POSTGRES_PASSWORD'];

export function composeTests(compose) {
  describe('docker-compose.yml', () => {
    let folder;
    before(() => {
      folder = mkdtempSync(path.join(tmpdir(), 'verbatim-compose-'));
      for (const each of ['docker-compose.yml', '.env.example', 'Dockerfile', 'deploy']) {
        cpSync(at(each), path.join(folder, each), { recursive: true });
      }
      mkdirSync(path.join(folder, 'scripts'));
      cpSync(at('scripts', 'make-secrets'), path.join(folder, 'scripts', 'make-secrets'));
    });
    after(() => rmSync(folder, { recursive: true }));

    const clean = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(VERBATIM|COMPOSE|DOMAIN|POSTGRES|GRAFANA)/.test(name)),
    );
    const inFolder = (program, args, env = {}) => run(program, args, { cwd: folder, env: { ...clean, ...env } });
    const config = async (env) =>
      JSON.parse((await inFolder(compose, ['config', '--format', 'json'], env)).stdout);
    const makeSecrets = (env) => inFolder(path.join(folder, 'scripts', 'make-secrets'), [], env);
    const environment = () => {
      const lines = read(path.relative(at(), path.join(folder, '.env'))).split('\n');
      return Object.fromEntries(
        lines.filter((line) => /^\w+=/.test(line)).map((line) => line.split(/=(.*)/s).slice(0, 2)),
      );
    };

    it('requires secrets, and names the command that creates them', async () => {
      await assert.rejects(config(), (error) => {
        assert.match(error.stderr, /is missing, run make secrets/);
        return true;
      });
    });

    it('gets long, unique and private secrets, which are kept', async () => {
      await makeSecrets();
      const first = environment();
      const values = SECRETS.map((name) => first[name]);
      for (const value of values) assert.match(value, /^[0-9a-f]{64}$/);
      assert.equal(new Set(values).size, values.length);
      assert.equal(statSync(path.join(folder, '.env')).mode & 0o777, 0o600);
      await makeSecrets({ DOMAIN: 'verbatim.example.com' });
      assert.deepEqual(environment(), { ...first, DOMAIN: 'verbatim.example.com' });
      await makeSecrets({ DOMAIN: 'other.example.com' });
      assert.equal(environment().DOMAIN, 'verbatim.example.com');
      rmSync(path.join(folder, '.env'));
      await assert.rejects(makeSecrets({ DOMAIN: 'https://x|y' }));
      rmSync(path.join(folder, '.env'));
      await makeSecrets();
      assert.notEqual(environment().VERBATIM_API_KEY, first.VERBATIM_API_KEY);
    });

    it('lists every variable in .env.example, and no secret', () => {
      const text = read('docker-compose.yml');
      const used = new Set([...text.matchAll(/\$\{(\w+)/g)].map(([, name]) => name));
      const example = read('.env.example');
      for (const name of used) assert.match(example, new RegExp(`^${name}=`, 'm'), name);
      for (const name of SECRETS) assert.match(example, new RegExp(`^${name}=$`, 'm'), name);
      for (const [, name, value] of example.matchAll(/^(\w+)=(.*)$/gm)) {
        assert.ok(used.has(name) || name === 'COMPOSE_PROFILES', `${name}=${value} is not used`);
      }
      // A secret is a variable without a default.
      for (const [, name, value] of text.matchAll(/^ +(\w*(?:PASSWORD|SECRET|KEY)\w*): (.*)$/gm)) {
        const isPath = value.startsWith('/');
        assert.ok(isPath || /^\$\{\w+(:\?[^}]+|:-)\}$/.test(value), `${name}: ${value}`);
      }
    });

    it('starts everything with the profiles of .env.example, and only Verbatim and Postgres without', async () => {
      const all = ['caddy', 'grafana', 'postgres', 'prepare', 'prometheus', 'verbatim'];
      assert.deepEqual(Object.keys((await config()).services).sort(), all);
      const bare = await config({ COMPOSE_PROFILES: '' });
      assert.deepEqual(Object.keys(bare.services).sort(), ['postgres', 'verbatim']);
      // `docker compose up verbatim` starts Verbatim and its dependencies.
      assert.deepEqual(Object.keys(bare.services.verbatim.depends_on), ['postgres']);
    });

    it('restricts each container', async () => {
      const { services } = await config();
      for (const [name, service] of Object.entries(services)) {
        assert.equal(service.read_only, true, name);
        assert.deepEqual(service.cap_drop, ['ALL'], name);
        assert.equal(service.cap_add, undefined, name);
        assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name);
        const { limits } = service.deploy.resources;
        assert.ok(limits.memory && limits.pids, name);
        // Docker rejects more CPUs than the machine has.
        assert.ok(limits.cpus === undefined || Number(limits.cpus) <= 1, name);
        assert.ok(
          service.user
            ? !/^(0|root)(:|$)/.test(service.user)
            : service.build || service.image === services.verbatim.image,
          name,
        );
        assert.ok(service.restart, name);
        for (const { host_ip: address, target } of service.ports ?? []) {
          assert.ok(address === '127.0.0.1' || (name === 'caddy' && [80, 443].includes(target)), name);
        }
        for (const { type, source } of service.volumes ?? []) {
          assert.ok(type === 'volume' || existsSync(source), `${name}: ${source}`);
        }
        if (name === 'prepare') continue;
        assert.ok(service.healthcheck?.test, name);
        assert.ok(service.stop_grace_period, name);
      }
      assert.deepEqual(services.verbatim.healthcheck.test, ['CMD', 'verbatim', 'healthcheck']);
      for (const file of ['Dockerfile', 'deploy/caddy/Dockerfile']) {
        const users = [...read(...file.split('/')).matchAll(/^USER (.*)$/gm)];
        assert.ok(users.length > 0 && users.at(-1)[1] !== 'root', file);
      }
    });

    it('pins every image', async () => {
      const { services } = await config();
      for (const [name, { image, build }] of Object.entries(services)) {
        assert.match(image, /:v?\d+\.\d+(\.\d+)?(-\w+)?(@sha256:[0-9a-f]{64})?$/, name);
        assert.ok(build || name === 'prepare' || !image.startsWith('verbatim'), name);
      }
      for (const file of ['Dockerfile', 'deploy/caddy/Dockerfile']) {
        for (const [, image] of read(...file.split('/')).matchAll(/^FROM (\S+)/gm)) {
          assert.match(image, /:[\w.-]+$/, file);
          assert.doesNotMatch(image, /:latest$/, file);
        }
      }
    });

    it('trusts only Caddy as a proxy, and links to the URL of the page', async () => {
      const plain = await config();
      const address = plain.services.caddy.networks.front.ipv4_address;
      assert.equal(plain.services.verbatim.environment.VERBATIM_TRUSTED_PROXIES, address);
      const pageOf = async (env) => (await config(env)).services.grafana.environment.VERBATIM_PAGE_URL;
      assert.equal(await pageOf(), 'http://localhost:8080');
      assert.equal(await pageOf({ DOMAIN: 'v.example.com' }), 'https://v.example.com');
      assert.equal(await pageOf({ DOMAIN: 'v.example.com', PAGE_URL: 'https://w' }), 'https://w');
      assert.equal(plain.services.caddy.environment.DOMAIN, 'http://:8000');
      const named = await config({ DOMAIN: 'v.example.com' });
      assert.equal(named.services.caddy.environment.DOMAIN, 'v.example.com');
      const other = await config({ FRONT_PREFIX: '10.9.8' });
      assert.equal(other.services.caddy.networks.front.ipv4_address, '10.9.8.2');
      assert.equal(other.networks.front.ipam.config[0].subnet, '10.9.8.0/28');
    });

    it('sets every variable of the datasources of Grafana', async () => {
      const { services } = await config();
      const variables = read('deploy', 'grafana', 'provisioning', 'datasources', 'verbatim.yaml').matchAll(
        /: \$\{(\w+)\}$/gm,
      );
      for (const [, name] of variables) {
        const { environment: given } = services.grafana;
        assert.ok(name in given || `${name}_FILE` in given, name);
      }
      const [provider] = readYaml('deploy', 'grafana', 'provisioning', 'dashboards', 'verbatim.yaml').providers;
      assert.equal(provider.options.path, '${VERBATIM_DASHBOARDS}');
      // prepare.sh writes the files that Prometheus and Grafana read.
      const files = read('deploy', 'compose', 'prepare.sh');
      assert.ok(files.includes(services.grafana.environment.VERBATIM_READER_PASSWORD_FILE));
      const [job] = readYaml('deploy', 'prometheus', 'prometheus.yml').scrape_configs;
      assert.ok(files.includes(job.authorization.credentials_file));
      const target = (service, name) =>
        services[service].volumes.find((each) => each.source === name).target;
      for (const [service, name] of [['prometheus', 'prometheus-key'], ['grafana', 'grafana-reader']]) {
        assert.equal(target(service, name), target('prepare', name));
      }
    });

    it('is rejected with an unknown key', () => {
      writeFileSync(path.join(folder, 'wrong.yml'), 'services: { a: { image: b, imagine: c } }\n');
      return assert.rejects(inFolder(compose, ['-f', 'wrong.yml', 'config']));
    });
  });
}
