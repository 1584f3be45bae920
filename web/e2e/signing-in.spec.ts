import { createServer } from 'node:http';
import { tell, turns } from './support/deliveries';
import { audit, en, expect, heading, signIn, test } from './support/test';

test('a key signs in, and a wrong one is explained', async ({ page, service, faults }) => {
  faults.expect(/status of 401 .*\/v1\/browser-session\)/);
  await page.goto(`${service.url}/conversations?status=ended`);
  await expect(heading(page, en.signin.title)).toBeVisible();
  await audit(page);
  const field = page.getByLabel(en.signin.key, { exact: true });
  await field.fill('vb_wrong');
  await page.getByRole('button', { name: en.signin.submit }).click();
  await expect(page.getByRole('alert')).toHaveText(en.signin.wrongKey);
  await audit(page);
  await field.fill(service.key);
  await page.getByRole('button', { name: en.signin.submit }).click();
  await expect(heading(page, en.conversations.title)).toBeVisible();
  await expect(page, 'back to where one wanted to go').toHaveURL(/\/conversations\?status=ended$/);

  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  expect(kept).not.toContain(service.key);
  const seen = await page.evaluate(() => document.cookie);
  expect(seen, 'scripts see the mark alone').toBe('verbatim_signed_in=read');
});

for (const next of [
  'https://evil.test/',
  '//evil.test/',
  '/\\evil.test/',
  '\\/evil.test',
  '/\t/evil.test',
  'javascript:alert(1)',
  'data:text/html,evil',
]) {
  test(`signing in does not lead to ${JSON.stringify(next)}`, async ({ page, service }) => {
    await page.goto(`${service.url}/sign-in?next=${encodeURIComponent(next)}`);
    await page.getByLabel(en.signin.key, { exact: true }).fill(service.key);
    await page.getByRole('button', { name: en.signin.submit }).click();
    await expect(heading(page, en.conversations.title)).toBeVisible();
    await expect(page).toHaveURL(`${service.url}/conversations`);
    await page.goto(`${service.url}/sign-in?next=${encodeURIComponent(next)}`);
    await expect(page, 'nor for one who is signed in').toHaveURL(`${service.url}/conversations`);
  });
}

test('signing out ends all tabs, and leaves nothing to go back to', async ({
  admin: page,
  context,
  service,
  faults,
}) => {
  faults.expect(/status of 401 /);
  const told = await tell(
    service.api,
    turns(4, () => 'Nobody may read this afterwards'),
  );
  const cached: string[] = [];
  context.on('response', (response) => {
    const { pathname } = new URL(response.url());
    const control = response.headers()['cache-control'] ?? 'none';
    const isPrivate = /no-store|private, no-cache/.test(control);
    if (pathname.startsWith('/v1/') && !isPrivate) cached.push(`${pathname}: ${control}`);
  });
  await page.goto(`${service.url}/overview`);
  await expect(heading(page, en.overview.title)).toBeVisible();
  await page.goto(`${service.url}/conversations/${told.id}`);
  const text = page.getByText('Nobody may read this afterwards');
  await expect(text.first()).toBeVisible();
  const other = await context.newPage();
  await other.goto(`${service.url}/deliveries`);
  await expect(heading(other, en.deliveries.title)).toBeVisible();

  await page.getByRole('button', { name: new RegExp(`^${en.shell.settings}`) }).click();
  await audit(page);
  await page.getByRole('button', { name: en.shell.signOut }).click();
  await expect(heading(page, en.signin.title)).toBeVisible();
  await expect(heading(other, en.signin.title)).toBeVisible();
  await expect(text).toHaveCount(0);

  await page.goBack();
  await expect(heading(page, en.signin.title)).toBeVisible();
  await expect(text).toHaveCount(0);
  await page.reload();
  await expect(heading(page, en.signin.title)).toBeVisible();
  const refused = await page.evaluate(
    async (id) => (await fetch(`/v1/sessions/${id}/messages`)).status,
    told.id,
  );
  expect(refused).toBe(401);
  expect(cached, 'answers that a cache may keep').toEqual([]);
});

test('revoking a key ends the views that are open with it', async ({
  admin,
  newBrowser,
  service,
  faults,
}) => {
  faults.expect(/status of 401 .*\/v1\/(stream|browser-session)\)/);
  const key = await service.api.makeKey('colleague', ['read']);
  const told = await tell(
    service.api,
    turns(2, () => 'Seen by the colleague'),
  );
  const context = await newBrowser();
  await signIn(context, service, key.key);
  const page = await context.newPage();
  await page.goto(`${service.url}/conversations/${told.id}`);
  await expect(page.getByText('Seen by the colleague').first()).toBeVisible();

  await admin.goto(`${service.url}/keys`);
  await admin.getByRole('button', { name: en.keys.revokeOf('colleague') }).click();
  await audit(admin);
  await admin.getByRole('dialog').getByRole('button', { name: en.keys.revoke }).click();
  await expect(admin.getByRole('button', { name: en.keys.revokeOf('colleague') })).toHaveCount(0);
  await expect(heading(page, en.signin.title)).toBeVisible();
  await expect(page.getByText(en.signin.ended)).toBeVisible();
  await expect(page.getByText('Seen by the colleague')).toHaveCount(0);
});

test('a key that expires ends its view at that moment', async ({ page, context, service }) => {
  const key = await service.api.send<{ key: string }>('POST', '/v1/keys', {
    name: 'for a moment',
    scopes: ['analytics'],
    expires: '1d',
  });
  await service.sql(
    `UPDATE api_keys SET expires_at = now() + interval '6 seconds' WHERE name = 'for a moment'`,
  );
  await signIn(context, service, key.key);
  await page.goto(`${service.url}/overview`);
  await expect(heading(page, en.overview.title)).toBeVisible();
  await expect(heading(page, en.signin.title)).toBeVisible();
});

test('no other site shows the page in a frame', async ({ page, context, service, faults }) => {
  faults.expect(/frame-ancestors|X-Frame-Options/);
  const site = createServer((_, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(`<!doctype html><title>other</title><iframe src="${service.url}/conversations">`);
  });
  await new Promise<void>((done) => site.listen(0, '127.0.0.1', done));
  const { port } = site.address() as { port: number };
  await signIn(context, service);
  const answer = page.waitForResponse(`${service.url}/conversations`);
  await page.goto(`http://127.0.0.1:${String(port)}/`);
  await answer;
  const frame = page.frameLocator('iframe');
  await expect(frame.locator('body')).toBeAttached();
  await expect(frame.locator('#root')).toHaveCount(0);
  site.close();
});
