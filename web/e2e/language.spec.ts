import { de } from '../src/texts/de';
import { tell, turns } from './support/deliveries';
import { audit, en, expect, expectNoSidewaysScroll, heading, loaded, test } from './support/test';

const VIEWS = [
  ['/conversations', de.conversations.title],
  ['/overview?period=last_30d', de.overview.title],
  ['/deliveries', de.deliveries.title],
  ['/setup', de.setup.title],
  ['/health', de.health.title],
  ['/keys', de.keys.title],
  ['/retention', de.retention.title],
  ['/gallery', de.gallery.title],
] as const;

test('the language is chosen in the settings and stays', async ({ admin: page, service }) => {
  await page.goto(`${service.url}/conversations`);
  await page.getByRole('button', { name: new RegExp(`^${en.shell.settings}`) }).click();
  await page.getByLabel(en.shell.language).selectOption('de');
  await expect(heading(page, de.conversations.title)).toBeVisible();
  await expect(page.locator('html')).toHaveAttribute('lang', 'de');
  await page.reload();
  await expect(heading(page, de.conversations.title)).toBeVisible();
});

test.describe('in a German browser', () => {
  test.use({ locale: 'de-DE' });

  for (const [path, title] of VIEWS) {
    test(`${path} is German, and fits`, async ({ admin: page, service }) => {
      await page.goto(`${service.url}${path}`);
      await expect(heading(page, title)).toBeVisible();
      if (path !== '/gallery') await loaded(page);
      await audit(page);
      await page.setViewportSize({ width: 390, height: 740 });
      await expectNoSidewaysScroll(page);
    });
  }

  test('numbers and times are written as in German', async ({ admin: page, service }) => {
    const start = Date.UTC(2026, 2, 5, 8, 0, 0) / 1000;
    const long = [{ role: 'user', text: 'x'.repeat(12_345) }] as const;
    const told = await tell(service.api, [...long, ...turns(1)], { start });
    await page.goto(`${service.url}/conversations/${told.id}`);
    await expect(page.getByText(/05\.03\.2026|5\. März 2026/).first()).toBeVisible();
    await expect(
      page.getByRole('button', { name: de.conversations.reading.showAll('12.345') }),
    ).toBeVisible();
  });
});
