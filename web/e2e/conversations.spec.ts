import { randomUUID } from 'node:crypto';
import { settled, tell, turns } from './support/deliveries';
import { audit, en, expect, heading, loaded, test } from './support/test';

const texts = en.conversations;

test('the list leads to a conversation, and its address to the same place', async ({
  admin: page,
  service,
}) => {
  const told = await tell(
    service.api,
    turns(3, (index) => `Opening hours ${String(index)}`),
  );
  await page.goto(`${service.url}/conversations`);
  const list = page.getByRole('list', { name: texts.listLabel });
  await expect(list.getByRole('listitem').first()).toContainText('Opening hours 0');
  await audit(page);
  await list.getByRole('link').first().click();
  await expect(page).toHaveURL(`${service.url}/conversations/${told.id}`);
  const log = page.getByRole('log', { name: texts.reading.log });
  await expect(log.getByRole('article')).toHaveCount(3);
  await expect(log.getByRole('article').nth(1)).toContainText('Opening hours 1');
  await expect(page).toHaveTitle(new RegExp(told.agent));
  await loaded(page);
  await audit(page);

  await page.reload();
  await expect(log.getByRole('article')).toHaveCount(3);
  await page.goBack();
  await expect(page.getByText(texts.choose)).toBeVisible();
  await page.goForward();
  await expect(log.getByRole('article')).toHaveCount(3);
});

test('menus, finding and shortcuts of a conversation have no fault', async ({
  admin: page,
  service,
}) => {
  const told = await tell(
    service.api,
    turns(6, (index) => `Ticket number ${String(index)}`),
  );
  await page.goto(`${service.url}/conversations/${told.id}`);
  await expect(page.getByRole('article').first()).toBeVisible();

  await page.getByRole('button', { name: texts.reading.download }).click();
  await expect(page.getByRole('menuitem')).toHaveCount(5);
  await audit(page);
  const file = page.waitForEvent('download');
  await page.getByRole('menuitem', { name: texts.reading.formats.md }).click();
  const path = await (await file).path();
  const { readFile } = await import('node:fs/promises');
  expect(await readFile(path, 'utf8')).toContain('Ticket number 3');

  await page.getByRole('button', { name: texts.reading.find }).click();
  const find = page.getByRole('textbox', { name: texts.reading.find });
  await find.fill('number 4');
  await expect(page.locator('mark')).toHaveText(['number 4']);
  await find.press('Enter');
  await expect(page.getByText(texts.reading.hits(1, 1))).toBeVisible();
  await expect(page).toHaveURL(/message=/);
  await audit(page);
  await find.press('Escape');
  await expect(page.locator('mark')).toHaveCount(0);

  await page.keyboard.press('?');
  await expect(page.getByRole('dialog', { name: en.shortcuts.title })).toBeVisible();
  await audit(page);
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+k');
  await expect(page.getByRole('dialog', { name: en.commands.title })).toBeVisible();
  await audit(page);
});

test('what is searched for is found as one types, and leads to the message', async ({
  admin: page,
  service,
}) => {
  const word = `quagga${randomUUID().slice(0, 6)}`;
  const said = turns(120, (index) =>
    index === 60 ? `Where is the ${word}?` : `Line ${String(index)}`,
  );
  const told = await tell(service.api, said, { start: Date.now() / 1000 - 3_600 });
  await settled(service.api);
  await page.goto(`${service.url}/conversations`);
  await page.getByRole('searchbox').pressSequentially(word, { delay: 20 });
  const hits = page.getByRole('listitem').filter({ has: page.locator('mark') });
  await expect(hits).toHaveCount(1);
  await expect(hits.locator('mark')).toHaveText([word]);
  await expect(page).toHaveURL(new RegExp(`[?&]q=${word}`));
  await audit(page);
  await hits.getByRole('link').click();
  await expect(page).toHaveURL(new RegExp(`/conversations/${told.id}\\?.*message=`));
  const found = page.getByRole('article').filter({ hasText: word });
  await expect(found).toBeInViewport();
  await expect(found).toHaveAttribute('data-marked', 'true');
  await audit(page);
  await page.reload();
  await expect(found, 'the address is that of the message').toBeInViewport();
});

test('a hit far down in a long conversation is where one arrives, also once all is loaded', async ({
  admin: page,
  service,
}) => {
  const word = `okapi${randomUUID().slice(0, 6)}`;
  const said = turns(260, (index) =>
    index === 200
      ? `Where is the ${word}?`
      : `Line ${String(index)} ${'and on '.repeat(index % 40)}`,
  );
  const told = await tell(service.api, said, { start: Date.now() / 1000 - 7_200 });
  await settled(service.api);
  await page.goto(`${service.url}/conversations?q=${word}`);
  await page.locator(`[data-session="${told.id}"]`).click();
  const found = page.getByRole('article').filter({ hasText: word });
  await expect(found).toBeInViewport();
  await expect(found).toHaveAttribute('aria-posinset', '201');
  await expect(found, 'earlier messages do not push it away').toBeInViewport();
});

test('who may erase finds it in the menu of a conversation', async ({ admin: page, service }) => {
  const told = await tell(service.api, turns(2));
  await page.goto(`${service.url}/conversations/${told.id}`);
  await page.getByRole('button', { name: en.conversations.reading.more, exact: true }).click();
  await page.getByRole('menuitem', { name: en.conversations.reading.erase }).click();
  await expect(heading(page, en.retention.title)).toBeVisible();
  await expect(page.getByText(told.session).first()).toBeVisible();
});

test('filters survive a reload and the back button', async ({ admin: page, service }) => {
  const agent = `F${randomUUID().slice(0, 8)}`;
  await tell(service.api, turns(2), { agent });
  await tell(service.api, turns(1), { agent, room: null });
  await settled(service.api);
  await page.goto(`${service.url}/conversations`);
  const rows = page.getByRole('list', { name: texts.listLabel }).getByRole('listitem');
  const chip = (label: string) =>
    page.getByRole('button', { name: `${texts.filters.remove('')}${label}` });

  await page.getByRole('button', { name: texts.filters.open }).click();
  const panel = page.getByRole('dialog', { name: texts.filters.open });
  await panel.getByLabel(texts.filters.agent, { exact: true }).fill(agent);
  await panel.getByLabel(texts.filters.agent, { exact: true }).press('Enter');
  await expect(rows).toHaveCount(2);
  await panel.getByLabel(texts.filters.openedBy).selectOption('chat.push');
  await expect(rows).toHaveCount(1);
  await expect(page).toHaveURL(/agent=F.*opened=chat\.push/);
  await audit(page);
  await page.keyboard.press('Escape');

  await page.reload();
  await expect(rows).toHaveCount(1);
  await expect(chip(agent)).toBeVisible();
  await rows.first().getByRole('link').click();
  await expect(page.getByRole('article')).toHaveCount(1);
  await expect(rows, 'a conversation is opened beside the filtered list').toHaveCount(1);
  await page.goBack();
  await expect(rows).toHaveCount(1);
  await page.goBack();
  await expect(rows).toHaveCount(2);
  await expect(page).not.toHaveURL(/opened=/);
  await page.goForward();
  await expect(rows).toHaveCount(1);
  await chip(agent).click();
  await expect(page).not.toHaveURL(/agent=/);
});

test('a view is saved, opened and deleted', async ({ admin: page, service }) => {
  const name = `Ended ${randomUUID().slice(0, 6)}`;
  await page.goto(`${service.url}/conversations?status=ended&sort=messages`);
  await page.getByRole('button', { name: texts.views.open }).click();
  const panel = page.getByRole('dialog', { name: texts.views.open });
  await panel.getByLabel(texts.views.name).fill(name);
  await panel.getByRole('button', { name: texts.views.save }).click();
  await expect(panel.getByRole('button', { name, exact: true })).toBeVisible();
  await audit(page);
  await page.goto(`${service.url}/conversations`);
  await page.getByRole('button', { name: texts.views.open }).click();
  await panel.getByRole('button', { name, exact: true }).click();
  await expect(page).toHaveURL(/status=ended&sort=messages/);
  await page.getByRole('button', { name: texts.views.open }).click();
  await panel.getByRole('button', { name: texts.views.remove(name) }).click();
  await expect(panel.getByRole('button', { name, exact: true })).toHaveCount(0);
});

test('the list says the true place of each row and loads as it is scrolled', async ({
  admin: page,
  service,
}) => {
  await page.goto(`${service.url}/conversations`);
  const list = page.getByRole('list', { name: texts.listLabel });
  const rows = list.getByRole('listitem');
  await expect(rows.first()).toHaveAttribute('aria-posinset', '1');
  await expect(rows.first(), 'the end is not known yet').toHaveAttribute('aria-setsize', '-1');
  const all = await service.api.get<{ data: unknown[] }>('/v1/sessions?limit=500');
  const size = String(all.data.length);
  await expect(async () => {
    await rows.last().scrollIntoViewIfNeeded();
    await expect(rows.last()).toHaveAttribute('aria-posinset', size, { timeout: 200 });
  }).toPass();
  await expect(page.getByText(texts.endOfList)).toBeVisible();
  await expect(rows.last()).toHaveAttribute('aria-setsize', size);
  await expect.poll(() => rows.count(), 'only what is in sight is drawn').toBeLessThan(60);
});

test('a long conversation says the true place of each message, both ways', async ({
  admin: page,
  service,
}) => {
  const told = await tell(service.api, turns(300), { start: Date.now() / 1000 - 7_200 });
  await page.goto(`${service.url}/conversations/${told.id}`);
  const log = page.getByRole('log');
  const articles = log.getByRole('article');
  await expect(articles.first()).toHaveAttribute('aria-posinset', '1');
  await expect(articles.first()).toHaveAttribute('aria-setsize', '300');
  await page.getByRole('button', { name: texts.reading.toEnd }).click();
  await expect(articles.last()).toContainText('Line 299');
  await expect(articles.last()).toHaveAttribute('aria-posinset', '300');
  await log.focus();
  await expect(async () => {
    await page.keyboard.press('Home');
    await expect(articles.first()).toContainText('Line 0', { timeout: 200 });
  }).toPass();
  await expect(articles.first()).toHaveAttribute('aria-posinset', '1');
  expect(await articles.count()).toBeLessThan(60);
});

test('times are those of one zone, which is named and can be changed', async ({
  admin: page,
  service,
}) => {
  const noon = Date.UTC(2026, 0, 15, 12, 0, 0) / 1000;
  const told = await tell(service.api, turns(1), { start: noon });
  await page.goto(`${service.url}/conversations/${told.id}`);
  const time = page.getByRole('article').locator('time');
  await expect(time).toHaveText(/^13:00:05/);
  await page.getByRole('button', { name: new RegExp(en.shell.zoneShort('Europe/Berlin')) }).click();
  await page.getByLabel(en.shell.zone).selectOption('UTC');
  await expect(time).toHaveText(/^12:00:05/);
  await time.hover();
  await expect(time).toHaveAttribute('title', /12:00:05.*\(UTC\)/);
  await expect(heading(page, texts.title)).toBeVisible();
});
