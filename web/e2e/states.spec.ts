import { tell, turns } from './support/deliveries';
import { audit, en, expect, heading, loaded, test } from './support/test';

const problem = (status: number, code: string, detail: string) => ({
  status,
  contentType: 'application/problem+json',
  headers: { 'x-request-id': 'req-4711' },
  body: JSON.stringify({ status, code, title: code, detail, request_id: 'req-4711' }),
});

test('the gallery shows every component in every state', async ({ admin: page, service }) => {
  await page.goto(`${service.url}/gallery`);
  await expect(heading(page, en.gallery.title)).toBeVisible();
  await audit(page);
});

for (const path of ['/nothing-is-here', '/conversations/00000000-0000-7000-8000-000000000000']) {
  test(`${path} is not found`, async ({ admin: page, service, faults }) => {
    faults.expect(/status of 404 /);
    // The service knows the page's paths; a link inside may lead anywhere.
    await page.goto(service.url);
    await expect(heading(page, en.conversations.title)).toBeVisible();
    await page.evaluate((to) => {
      history.pushState(null, '', to);
      dispatchEvent(new PopStateEvent('popstate'));
    }, path);
    await expect(page.getByText(en.states.notFoundHelp)).toBeVisible();
    await audit(page);
  });
}

test('an error says what happened, its request ID, and how to try again', async ({
  admin: page,
  service,
  faults,
}) => {
  faults.expect(/status of 500 /);
  const failing = problem(500, 'internal', 'Something broke inside.');
  await page.route('**/v1/keys*', (route) => route.fulfill(failing));
  await page.goto(`${service.url}/keys`);
  await expect(page.getByText('Something broke inside.')).toBeVisible();
  await expect(page.getByText(en.common.requestId('req-4711'))).toBeVisible();
  await audit(page);
  await page.unroute('**/v1/keys*');
  await page.getByRole('button', { name: en.common.retry }).click();
  await expect(page.getByText('Something broke inside.')).toHaveCount(0);
});

test('too many requests are named', async ({ admin: page, service, faults }) => {
  faults.expect(/status of 429 /);
  const limited = problem(429, 'rate_limited', 'Too many.');
  await page.route('**/v1/analytics/summary*', (route) => route.fulfill(limited));
  await page.goto(`${service.url}/overview`);
  await expect(page.getByText(en.states.rateLimited).first()).toBeVisible();
  await audit(page);
});

const LOADING = [
  ['/conversations', '**/v1/sessions?*'],
  ['/overview', '**/v1/analytics/**'],
  ['/deliveries', '**/v1/deliveries?*'],
  ['/setup', '**/v1/setup'],
  ['/health', '**/readyz'],
  ['/keys', '**/v1/keys?*'],
] as const;

for (const [path, requests] of LOADING) {
  test(`${path} while it loads has no fault`, async ({ admin: page, service }) => {
    let asked = 0;
    const held: (() => Promise<void>)[] = [];
    await page.route(requests, (route) => {
      asked += 1;
      held.push(() => route.continue());
    });
    await page.goto(`${service.url}${path}`);
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await expect.poll(() => asked).toBeGreaterThan(0);
    await audit(page);
    await page.unroute(requests);
    for (const release of held) await release().catch(() => undefined);
    await loaded(page);
  });
}

test('what cannot be brought up to date is marked with its age', async ({
  admin: page,
  service,
  faults,
}) => {
  faults.expect(/status of 500 /);
  await tell(service.api, turns(1));
  await page.goto(`${service.url}/deliveries`);
  const rows = page.getByRole('list', { name: en.deliveries.list }).getByRole('listitem');
  await expect(rows.first()).toBeVisible();
  await page.route('**/v1/deliveries?*', (route) =>
    route.fulfill(problem(500, 'internal', 'Something broke inside.')),
  );
  await page.getByRole('button', { name: en.deliveries.refresh }).click();
  await expect(page.getByText(/^Not up to date: as of/)).toBeVisible();
  await expect(rows.first(), 'what was loaded stays').toBeVisible();
  await audit(page);
});

test('themes can be chosen against the system', async ({ admin: page, service }) => {
  await page.emulateMedia({ colorScheme: 'light' });
  await page.goto(`${service.url}/conversations`);
  await page.getByRole('button', { name: new RegExp(`^${en.shell.settings}`) }).click();
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  expect(await background()).toBe('rgb(255, 255, 255)');
  await page.getByLabel(en.shell.theme).selectOption('dark');
  await expect.poll(background).toBe('rgb(19, 21, 25)');
  await page.reload();
  await expect.poll(background).toBe('rgb(19, 21, 25)');
});
