import { idOf, message, settled, tell, turns, type Told } from './support/deliveries';
import type { BrowserContext, Page } from '@playwright/test';
import { audit, en, expect, heading, Service, signIn, test } from './support/test';

let service: Service;

test.beforeAll(async () => {
  service = await Service.start();
});
test.afterAll(async () => {
  await service.close();
});

/** Opens a conversation of two messages, and the health of the service beside it. */
async function openBoth(
  context: BrowserContext,
  page: Page,
): Promise<{ told: Told; health: Page }> {
  const told = await tell(service.api, turns(2));
  await signIn(context, service);
  await page.goto(`${service.url}/conversations/${told.id}`);
  await expect(page.getByRole('article')).toHaveCount(2);
  const health = await context.newPage();
  await health.goto(`${service.url}/health`);
  await expect(health.getByText(en.health.ready)).toBeVisible();
  return { told, health };
}

test('the page goes on by itself after the service was restarted', async ({
  page,
  context,
  faults,
}) => {
  test.slow();
  faults.expect(/Failed to load resource: net::ERR_|ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED/);
  // The service answers so while its PostgreSQL starts.
  faults.expect(/Failed to load resource: .* status of 503/);
  const told = await tell(service.api, turns(2));
  await signIn(context, service);
  await page.goto(`${service.url}/conversations/${told.id}`);
  await expect(page.getByRole('article')).toHaveCount(2);

  await service.stop();
  await expect(
    page.getByText(en.states.offline).or(page.getByText(en.states.reconnecting)),
  ).toBeVisible();
  await expect(page.getByRole('article'), 'what was loaded stays').toHaveCount(2);
  await audit(page);
  await service.resume();
  const text = 'Said after the restart';
  await service.api.deliver(message(told.agent, told.session, { role: 'user', text }));
  await expect(page.getByRole('article').filter({ hasText: text })).toBeVisible({
    timeout: 60_000,
  });
  await expect(page.getByText(en.states.offline)).toHaveCount(0);
  await expect(page.getByText(en.states.reconnecting)).toHaveCount(0);
});

test('while the database is away the page says so, and what still works', async ({
  page,
  context,
  faults,
}) => {
  test.slow();
  faults.expect(/status of 503 /);
  const { api } = service;
  const { told, health } = await openBoth(context, page);

  const goOn = await service.freezeDatabase();
  const text = 'Said while the database was away';
  expect(await api.deliver(message(told.agent, told.session, { role: 'user', text }))).toBe(200);
  await expect(health.getByText(/^The database has not answered for/)).toBeVisible({
    timeout: 40_000,
  });
  await expect(health.getByText(/1 delivery has waited in the inbox/)).toBeVisible();
  await audit(health);
  await health.getByRole('link', { name: en.shell.keys }).click();
  await expect(health.getByText(en.states.databaseAway).first()).toBeVisible({ timeout: 40_000 });
  await audit(health);
  await expect(page.getByRole('article'), 'what was loaded stays').toHaveCount(2);

  goOn();
  await expect(page.getByRole('article').filter({ hasText: text })).toBeVisible({
    timeout: 40_000,
  });
  await expect(health.getByText(en.states.databaseAway)).toHaveCount(0, { timeout: 40_000 });
  await expect(heading(health, en.keys.title)).toBeVisible();
  await health.getByRole('link', { name: en.shell.health }).click();
  await expect(health.getByText(en.health.ready)).toBeVisible({ timeout: 40_000 });
});

/** A start after a kill replays the log, and waits longer after each failure. */
const RECOVERED_MS = 60_000;
const SAID = ['Said while the database was dead', 'Said after it had come back'];

/** Delivers the next line of a conversation; it has to be accepted. */
async function say({ agent, session }: Told, text: string): Promise<void> {
  const body = message(agent, session, { role: 'user', text });
  expect(await service.api.deliver(body), 'accepted').toBe(200);
}

/** Waits until the page says that the database is away, and what still works. */
async function expectAway(page: Page): Promise<void> {
  const says = page.getByText(en.states.databaseAwayHelp).first();
  await expect(says).toBeVisible({ timeout: 40_000 });
  await audit(page);
}

test('the page outlives the death of the database, and nothing that was accepted is lost', async ({
  page,
  context,
  faults,
}) => {
  test.setTimeout(180_000);
  faults.expect(/status of 503 |ERR_INCOMPLETE_CHUNKED/);
  const { told, health } = await openBoth(context, page);
  const late = await context.newPage();

  const revive = await service.killDatabase();
  await say(told, SAID[0] ?? '');
  await expect(health.getByText(/^The database has not answered for/)).toBeVisible({
    timeout: 40_000,
  });
  await expect(page.getByRole('article'), 'what was loaded stays').toHaveCount(2);
  await late.goto(`${service.url}/conversations/${told.id}`);
  await expectAway(late);

  revive();
  const last = { timeout: RECOVERED_MS };
  for (const one of [page, late]) {
    const article = one.getByRole('article').filter({ hasText: SAID[0] ?? '' });
    await expect(article, 'it comes by itself').toBeVisible(last);
    await expect(one.getByText(en.states.databaseAwayHelp)).toHaveCount(0, last);
  }
  await say(told, SAID[1] ?? '');
  await expect(page.getByRole('article').filter({ hasText: SAID[1] ?? '' })).toBeVisible(last);
  await expect(health.getByText(en.health.ready)).toBeVisible(last);
  await idOf(service.api, told.session, 4);
  await settled(service.api);
});

test('a service that starts while the database is dead accepts deliveries, and the page says so', async ({
  page,
  context,
  faults,
}) => {
  test.setTimeout(180_000);
  faults.expect(
    /status of 503 |Failed to load resource: net::ERR_|ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED/,
  );
  const told = await tell(service.api, turns(2));
  await signIn(context, service);
  await page.goto(`${service.url}/conversations/${told.id}`);
  await expect(page.getByRole('article')).toHaveCount(2);

  const revive = await service.killDatabase();
  await say(told, SAID[0] ?? '');
  await service.restartWithoutDatabase();
  await say(told, SAID[1] ?? '');
  await page.reload();
  await expectAway(page);

  revive();
  for (const text of SAID) {
    const article = page.getByRole('article').filter({ hasText: text });
    await expect(article, 'it comes by itself').toBeVisible({ timeout: RECOVERED_MS });
  }
  await expect(page.getByText(en.states.databaseAwayHelp)).toHaveCount(0);
  await idOf(service.api, told.session, 4);
});
