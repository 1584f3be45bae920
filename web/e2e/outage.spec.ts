import { message, tell, turns } from './support/deliveries';
import { audit, en, expect, heading, Service, signIn, test } from './support/test';

let service: Service;

test.beforeAll(async () => {
  service = await Service.start();
});
test.afterAll(async () => {
  await service.close();
});

test('the page goes on by itself after the service was restarted', async ({
  page,
  context,
  faults,
}) => {
  test.slow();
  faults.expect(/Failed to load resource: net::ERR_|ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED/);
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
    timeout: 40_000,
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
  const told = await tell(api, turns(2));
  await signIn(context, service);
  await page.goto(`${service.url}/conversations/${told.id}`);
  await expect(page.getByRole('article')).toHaveCount(2);
  const health = await context.newPage();
  await health.goto(`${service.url}/health`);
  await expect(health.getByText(en.health.ready)).toBeVisible();

  const goOn = await service.freezeDatabase();
  const text = 'Said while the database was away';
  expect(await api.deliver(message(told.agent, told.session, { role: 'user', text }))).toBe(200);
  await expect(health.getByText(/^The database has not answered for/)).toBeVisible({
    timeout: 40_000,
  });
  await expect(health.getByText(/1 deliveries wait in the inbox/)).toBeVisible();
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
