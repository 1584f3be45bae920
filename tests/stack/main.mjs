// Tests of deploy/, run by scripts/stack-tests. STACK_TESTS selects parts.

import { after, before, describe } from 'node:test';

import { World } from './support/world.mjs';

const { CADDY, COMPOSE, STACK_TESTS, VALIDATE } = process.env;
const chosen = new Set(STACK_TESTS.split(' '));

let world;
const theWorld = () => world;

if (chosen.has('dashboards')) await import('./dashboards.mjs');
if (chosen.has('rules')) await import('./rules.mjs');
if (chosen.has('compose')) (await import('./compose.mjs')).composeTests(COMPOSE);
if (chosen.has('kubernetes')) (await import('./kubernetes.mjs')).kubernetesTests(VALIDATE);

if (chosen.has('queries') || chosen.has('caddy')) {
  const { promqlTests, sqlTests } = await import('./queries.mjs');
  const { caddyTests } = await import('./caddy.mjs');
  const { prepareTests } = await import('./prepare.mjs');
  describe('with a real service', () => {
    before(async () => {
      world = await World.start();
    });
    after(() => world?.stop());
    if (chosen.has('queries')) {
      prepareTests(theWorld);
      sqlTests(theWorld);
      promqlTests(theWorld);
    }
    if (chosen.has('caddy')) {
      caddyTests(theWorld, 'caddy', { isPinned: false });
      caddyTests(theWorld, CADDY, { isPinned: true });
    }
  });
}
