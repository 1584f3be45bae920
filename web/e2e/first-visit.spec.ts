import { audit, en, expect, heading, loaded, Service, signIn, test } from './support/test';

// A service that nobody has sent anything to yet.
let service: Service;

test.beforeAll(async () => {
  service = await Service.start();
});
test.afterAll(async () => {
  await service.close();
});

/** The link in what the first start prints. */
function linkOf({ banner, url }: Service): string {
  const link = banner.split('\n').find((line) => line.trim().startsWith(`${url}/sign-in#token=`));
  return link?.trim() ?? '';
}

test('the link of the first start signs in once, and leads to what to do next', async ({
  page,
  newBrowser,
  faults,
}) => {
  // The second use of the link.
  faults.expect(/status of 401 .*\/v1\/browser-session\)/);
  await page.goto(linkOf(service));
  await expect(heading(page, en.conversations.title)).toBeVisible();
  await expect(page).toHaveURL(`${service.url}/conversations`);
  await expect(page.getByText(en.conversations.empty)).toBeVisible();
  await audit(page);
  await page.getByRole('link', { name: en.conversations.emptyNext }).click();
  await expect(heading(page, en.setup.title)).toBeVisible();

  const other = await (await newBrowser()).newPage();
  await other.goto(linkOf(service));
  await expect(other.getByRole('alert')).toHaveText(en.signin.wrongToken);
  await expect(other, 'the token is not left in the address').toHaveURL(`${service.url}/sign-in`);
  await audit(other);
});

test('a link that has expired signs nobody in', async ({ page, faults }) => {
  faults.expect(/status of 401 .*\/v1\/browser-session\)/);
  const link = await service.openLink();
  await service.sql(`UPDATE sign_in_links SET expires_at = now() - interval '1 second'`);
  await page.goto(link);
  await expect(page.getByRole('alert')).toHaveText(en.signin.wrongToken);
  await page.goto(`${service.url}/conversations`);
  await expect(heading(page, en.signin.title)).toBeVisible();

  await page.goto(await service.openLink());
  await expect(heading(page, en.conversations.title)).toBeVisible();
});

const EMPTY = [
  ['/overview', en.overview.title, en.overview.emptyTitle],
  ['/deliveries', en.deliveries.title, en.deliveries.none],
  ['/health', en.health.title, en.health.inboxEmpty],
  ['/keys', en.keys.title, null],
  ['/retention', en.retention.title, en.retention.noErasures],
  ['/conversations?q=nothing', en.conversations.title, en.conversations.noHits],
  ['/conversations?status=live', en.conversations.title, en.conversations.noneMatch],
] as const;

for (const [path, title, text] of EMPTY) {
  test(`without data, ${path} says what is missing`, async ({ page, context }) => {
    await signIn(context, service);
    await page.goto(`${service.url}${path}`);
    await expect(heading(page, title)).toBeVisible();
    if (text !== null) await expect(page.getByText(text).first()).toBeVisible();
    await loaded(page);
    await audit(page);
  });
}

test('the test button sends a delivery through the front door', async ({ page, context }) => {
  await signIn(context, service);
  await page.goto(`${service.url}/setup`);
  await loaded(page);
  await audit(page);
  await page.getByRole('button', { name: en.setup.send }).click();
  const result = page.getByRole('status').filter({ hasText: /Answered 200/ });
  await expect(result).toContainText(en.setup.became(en.deliveries.outcomes.test));
  await expect(page.getByText(/^Last real delivery/)).toHaveCount(0);
  await audit(page);
  await result.getByRole('link', { name: en.setup.openDelivery }).click();
  await expect(page.getByRole('heading', { level: 2, name: 'test' })).toBeVisible();
  await expect(page.getByText(en.deliveries.outcomeHelp.test)).toBeVisible();
  await audit(page);

  await page.goto(`${service.url}/setup`);
  await page.getByLabel(en.setup.event, { exact: true }).selectOption('chat.push');
  await page.getByRole('button', { name: en.setup.send }).click();
  await expect(page.getByRole('status').filter({ hasText: /Answered 200/ })).toBeVisible();
  await page.goto(`${service.url}/conversations`);
  await expect(page.getByText(en.conversations.empty), 'a test is no conversation').toBeVisible();
});

test('refusals are listed with what to do about them', async ({ page, context }) => {
  expect(await service.api.deliver({ event_type: 'test' }, 'another secret')).toBe(401);
  await signIn(context, service);
  await page.goto(`${service.url}/setup`);
  await expect(page.getByText(en.setup.reasons.wrong_signature)).toBeVisible();
  await expect(page.getByText(en.setup.reasonAdvice.wrong_signature)).toBeVisible();
  await audit(page);
});
