import { randomUUID } from 'node:crypto';
import type { Scope } from './support/api';
import { settled, tell } from './support/deliveries';
import { audit, en, expect, heading, loaded, signIn, test } from './support/test';

const PLACES = [
  ['conversations', '/conversations', 'read'],
  ['overview', '/overview', 'analytics'],
  ['deliveries', '/deliveries', 'admin'],
  ['setup', '/setup', 'admin'],
  ['health', '/health', 'admin'],
  ['keys', '/keys', 'admin'],
  ['retention', '/retention', 'erase'],
] as const;

const SCOPES: Scope[][] = [
  ['read'],
  ['analytics'],
  ['export'],
  ['erase'],
  ['read', 'analytics'],
  ['read', 'erase'],
  ['admin'],
];

for (const scopes of SCOPES) {
  test(`a key with ${scopes.join(' and ')} sees what it may, and nothing else`, async ({
    page,
    context,
    service,
  }) => {
    // Every view is audited.
    test.slow();
    const { key } = await service.api.makeKey(`scopes ${randomUUID()}`, scopes);
    await signIn(context, service, key);
    // A view that may not be shown asks for nothing either.
    const refused: string[] = [];
    context.on('response', (answer) => {
      if (answer.status() === 403) refused.push(answer.url());
    });
    const may = (scope: Scope) => scopes.includes(scope) || scopes.includes('admin');
    const seen = PLACES.filter(([, , scope]) => may(scope));
    await page.goto(service.url);
    const rail = page.getByRole('navigation', { name: en.shell.places });
    await expect(rail.getByRole('listitem')).toHaveText(seen.map(([name]) => en.shell[name]));
    if (seen[0] !== undefined) await expect(page).toHaveURL(`${service.url}${seen[0][1]}`);

    for (const [, path, scope] of PLACES) {
      await page.goto(`${service.url}${path}`);
      const noRights = heading(page, en.states.noRights);
      if (may(scope)) {
        await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
        await expect(noRights).toHaveCount(0);
      } else {
        await expect(noRights).toBeVisible();
        await expect(page.getByText(en.states.noRightsHelp(scope))).toBeVisible();
      }
      await loaded(page);
      await audit(page);
    }
    expect(refused).toEqual([]);
  });
}

test('a key for figures alone gets a useful page, and never any text', async ({
  page,
  context,
  service,
}) => {
  const text = `Secret ${randomUUID()}`;
  const said = [
    { role: 'user', text },
    { role: 'assistant', text },
  ] as const;
  const told = await tell(service.api, said, { start: Date.now() / 1000 - 60 });
  await settled(service.api);
  const { key } = await service.api.makeKey('figures', ['analytics']);
  await signIn(context, service, key);
  const answers: Promise<string>[] = [];
  context.on('response', (answer) => {
    if (answer.url().includes('/v1/')) answers.push(answer.text().catch(() => ''));
  });
  await page.goto(`${service.url}/overview`);
  await expect(page.getByRole('heading', { level: 2 }).first()).toBeVisible();
  await expect(page.getByRole('button', { name: /^Sessions: \d/ }).first()).toBeVisible();
  await page.evaluate(() => {
    document.querySelector('#main > *:last-child')?.scrollTo(0, 1e6);
  });
  await loaded(page);
  for (const path of [`/conversations/${told.id}`, `/conversations?q=Secret`, '/deliveries']) {
    await page.goto(`${service.url}${path}`);
    await expect(heading(page, en.states.noRights)).toBeVisible();
  }
  const all = (await Promise.all(answers)).join('\n');
  expect(all).toContain('sessions');
  expect(all).not.toContain(text);
});

test('a key of one agent sees nothing of any other', async ({ page, context, service }) => {
  const [own, other] = [`O${randomUUID().slice(0, 6)}`, `P${randomUUID().slice(0, 6)}`];
  const mine = await tell(service.api, [{ role: 'user', text: 'Mine' }], { agent: own });
  await tell(service.api, [{ role: 'user', text: 'Foreign' }], { agent: other });
  const { key } = await service.api.makeKey('one agent', ['read'], [own]);
  await signIn(context, service, key);
  await page.goto(`${service.url}/conversations`);
  const rows = page.getByRole('list', { name: en.conversations.listLabel }).getByRole('listitem');
  await expect(rows).toHaveCount(1);
  await expect(rows).toContainText('Mine');
  await page.goto(`${service.url}/conversations/${mine.id}`);
  await expect(page.getByRole('article')).toContainText('Mine');
});

test('a conversation that the key cannot see is not found', async ({
  page,
  context,
  service,
  faults,
}) => {
  faults.expect(/status of 404 .*\/v1\/sessions\//);
  const foreign = await tell(service.api, [{ role: 'user', text: 'Foreign' }], { agent: 'Z9' });
  const { key } = await service.api.makeKey('another agent', ['read'], ['Y9']);
  await signIn(context, service, key);
  await page.goto(`${service.url}/conversations/${foreign.id}`);
  await expect(page.getByText(en.states.notFoundHelp)).toBeVisible();
  await expect(page.getByText('Foreign')).toHaveCount(0);
  await audit(page);
});

test('a key is created, shown once, and signs in', async ({ admin: page, service, newBrowser }) => {
  const texts = en.keys;
  const name = `Front desk ${randomUUID().slice(0, 6)}`;
  await page.goto(`${service.url}/keys`);
  await page.getByRole('button', { name: texts.create }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: texts.submit }).click();
  await expect(dialog.getByRole('alert').first()).toHaveText(texts.nameMissing);
  await audit(page);
  await dialog.getByLabel(texts.name).fill(name);
  await dialog.getByLabel(/^read/).check();
  await dialog.getByRole('button', { name: texts.submit }).click();
  const shown = dialog.getByLabel(texts.key, { exact: true });
  const key = (await shown.textContent()) ?? '';
  expect(key).toMatch(/^vb_/);
  await audit(page);
  await dialog.getByRole('button', { name: texts.done }).click();
  await expect(page.getByRole('row').filter({ hasText: name })).toBeVisible();
  await expect(page.getByText(key)).toHaveCount(0);
  await audit(page);
  await page.reload();
  await expect(page.getByRole('row').filter({ hasText: name })).toBeVisible();
  await expect(page.getByText(key)).toHaveCount(0);

  const context = await newBrowser();
  await signIn(context, service, key);
  const other = await context.newPage();
  await other.goto(service.url);
  await expect(heading(other, en.conversations.title)).toBeVisible();
});
