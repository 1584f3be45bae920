import { startDevelopment, type Development } from './support/development';
import { en, expect, heading, test } from './support/test';

let development: Development;

test.afterEach(async ({ page }) => {
  await page.close();
  await development.close();
});

test('the development server lets a browser sign in and out', async ({ page, service }) => {
  test.slow();
  development = await startDevelopment(service.url);
  await page.goto(`${development.url}/conversations`);
  await page.getByLabel(en.signin.key).fill(service.key);
  await page.getByRole('button', { name: en.signin.submit }).click();
  await expect(page.locator('[data-session]').first()).toBeVisible();
  await page.reload();
  await expect(page.locator('[data-session]').first(), 'the session stays').toBeVisible();
  await page.goto(`${development.url}/overview`);
  await expect(heading(page, en.overview.title)).toBeVisible();
});

test('with a key the development server asks nobody to sign in', async ({ page, service }) => {
  test.slow();
  development = await startDevelopment(service.url, service.key);
  await page.goto(`${development.url}/conversations`);
  await expect(page.locator('[data-session]').first()).toBeVisible();
  await page.goto(`${development.url}/keys`);
  await expect(heading(page, en.keys.title)).toBeVisible();
});
