import type { Locator, Page } from '@playwright/test';
import { randomUUID } from 'node:crypto';
import { settled, tell, turns } from './support/deliveries';
import { en, expect, heading, test } from './support/test';

// Nothing in this file uses a mouse.

const MOST_TABS = 120;

/** Presses Tab until the element has the focus, which has to be seen. */
async function tabTo(page: Page, target: Locator, key = 'Tab'): Promise<void> {
  for (let presses = 0; presses < MOST_TABS; presses += 1) {
    if (await target.evaluate((one) => one === document.activeElement).catch(() => false)) {
      const isSeen = () => target.evaluate((one) => one.matches(':focus-visible'));
      expect(await isSeen(), 'the focus can be seen').toBe(true);
      const outline = await target.evaluate((one) => getComputedStyle(one).outlineStyle);
      expect(outline, 'the focus can be seen').not.toBe('none');
      return;
    }
    await page.keyboard.press(key);
  }
  throw new Error(`${MOST_TABS.toString()} presses of ${key} did not reach ${target.toString()}`);
}

test('everything can be done without a mouse', async ({ page, service }) => {
  test.slow();
  const agent = `K${randomUUID().slice(0, 6)}`;
  const first = await tell(
    service.api,
    turns(4, (index) => `First ${String(index)}`),
    { agent },
  );
  const second = await tell(
    service.api,
    turns(4, (index) => `Second ${String(index)}`),
    { agent },
  );
  await settled(service.api);

  // Signing in.
  await page.goto(`${service.url}/conversations?agent=${agent}`);
  await expect(heading(page, en.signin.title)).toBeVisible();
  await tabTo(page, page.getByLabel(en.signin.key, { exact: true }));
  await page.keyboard.type(service.key);
  await page.keyboard.press('Enter');
  const rows = page.getByRole('list', { name: en.conversations.listLabel }).getByRole('listitem');
  await expect(rows).toHaveCount(2);

  // The first press of Tab offers to skip the places.
  await page.keyboard.press('Tab');
  const skip = page.getByRole('link', { name: en.shell.skip });
  await expect(skip).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.locator('#main')).toBeFocused();

  // The list: j and k, or Tab and Enter.
  await page.keyboard.press('j');
  await expect(page).toHaveURL(new RegExp(second.id));
  await expect(page.getByRole('article').first()).toContainText('Second 0');
  await page.keyboard.press('j');
  await expect(page.getByRole('article').first()).toContainText('First 0');
  await page.keyboard.press('k');
  await expect(page.getByRole('article').first()).toContainText('Second 0');
  await page.keyboard.press('Escape');
  await expect(page.getByText(en.conversations.choose)).toBeVisible();
  await tabTo(page, rows.nth(1).getByRole('link'));
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(new RegExp(first.id));

  // A menu: arrow keys and Escape, which gives the focus back.
  const download = page.getByRole('button', { name: en.conversations.reading.download });
  await tabTo(page, download);
  await page.keyboard.press('Enter');
  const items = page.getByRole('menuitem');
  await expect(items.first()).toBeFocused();
  await page.keyboard.press('ArrowDown');
  await expect(items.nth(1)).toBeFocused();
  await page.keyboard.press('End');
  await expect(items.last()).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(items).toHaveCount(0);
  await expect(download).toBeFocused();

  // The log can be scrolled and its messages reached.
  const log = page.getByRole('log');
  await tabTo(page, log);
  await tabTo(page, log.getByRole('link').first());
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/message=/);

  // Finding inside.
  await page.keyboard.press('f');
  await expect(page.getByRole('textbox', { name: en.conversations.reading.find })).toBeFocused();
  await page.keyboard.type('First 3');
  await page.keyboard.press('Enter');
  await expect(page.getByText(en.conversations.reading.hits(1, 1))).toBeVisible();
  await page.keyboard.press('Escape');

  // Search.
  await page.locator('#main').focus();
  await page.keyboard.press('/');
  await expect(page.getByRole('searchbox')).toBeFocused();
  await page.keyboard.type('Second 2');
  await expect(
    page
      .getByRole('listitem')
      .filter({ has: page.locator('mark') })
      .first(),
  ).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(rows.first()).toBeVisible();

  // Filters: a choice, and out again.
  const filters = page.getByRole('button', { name: en.conversations.filters.open, exact: true });
  await tabTo(page, filters);
  await page.keyboard.press('Enter');
  const panel = page.getByRole('dialog', { name: en.conversations.filters.open });
  await tabTo(page, panel.getByLabel(en.conversations.filters.silent));
  await page.keyboard.press('Space');
  await expect(page.getByText(en.conversations.noneMatch)).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(panel).toBeHidden();
  await expect(filters).toBeFocused();

  // The places, by sequence and by palette.
  await page.keyboard.press('g');
  await page.keyboard.press('o');
  await expect(heading(page, en.overview.title)).toBeVisible();
  await expect(page.locator('#main')).toBeFocused();
  await page.keyboard.press('Control+k');
  await expect(page.getByRole('combobox', { name: en.commands.placeholder })).toBeFocused();
  await page.keyboard.type('keys');
  await page.keyboard.press('Enter');
  await expect(heading(page, en.keys.title)).toBeVisible();
  await page.keyboard.press('?');
  const shortcuts = page.getByRole('dialog', { name: en.shortcuts.title });
  await expect(shortcuts).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(shortcuts).toHaveCount(0);

  // A dialog keeps the focus, and gives it back.
  const create = page.getByRole('button', { name: en.keys.create });
  await tabTo(page, create);
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: en.keys.create });
  await expect(dialog.getByLabel(en.keys.name)).toBeFocused();
  for (let presses = 0; presses < 20; presses += 1) {
    await page.keyboard.press('Tab');
    const outside = await page.evaluate(
      () =>
        document.activeElement?.closest('dialog, body') === document.body &&
        document.activeElement !== document.body,
    );
    expect(outside, 'no element behind the dialog').toBe(false);
  }
  await page.keyboard.press('Escape');
  await expect(create).toBeFocused();

  // Signing out.
  await page.keyboard.press('Control+k');
  await page.keyboard.type(en.shell.signOut);
  await page.keyboard.press('Enter');
  await expect(heading(page, en.signin.title)).toBeVisible();
});

test('charts read their values by arrow keys', async ({ admin: page, service }) => {
  await page.goto(`${service.url}/overview?period=last_30d`);
  const chart = page.locator('[aria-roledescription]').first();
  await expect(chart).toBeVisible();
  await page.locator('#main').focus();
  await tabTo(page, chart);
  await page.keyboard.press('ArrowRight');
  const read = page.locator('[role=status][aria-live=polite]');
  await expect(read).toHaveText(/\d/);
  const first = (await read.textContent()) ?? '';
  await page.keyboard.press('ArrowLeft');
  await expect(read).not.toHaveText(first);
  await expect(read).toHaveText(/\d/);
});
