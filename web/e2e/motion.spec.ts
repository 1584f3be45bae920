import type { Page } from '@playwright/test';
import { tell, turns } from './support/deliveries';
import { en, expect, test } from './support/test';

/** Milliseconds of the longest movement that the view can make. */
function longestMotion(page: Page): Promise<number> {
  return page.evaluate(() => {
    const seconds = (text: string) => text.split(',').map((one) => Number.parseFloat(one));
    const all = [...document.querySelectorAll('*')].flatMap((element) => {
      const style = getComputedStyle(element);
      const animated = style.animationName === 'none' ? [] : seconds(style.animationDuration);
      return [...seconds(style.transitionDuration), ...animated];
    });
    return Math.max(0, ...all) * 1_000;
  });
}

/** Names of the animations that run. */
function animations(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    document.getAnimations().map((one) => (one instanceof CSSAnimation ? one.animationName : '')),
  );
}

for (const reducedMotion of ['reduce', 'no-preference'] as const) {
  const moves = reducedMotion === 'no-preference';

  test(`a place that loads ${moves ? 'breathes' : 'stands still'}: ${reducedMotion}`, async ({
    admin: page,
    service,
  }) => {
    await page.emulateMedia({ reducedMotion });
    // The answer never comes, so the place stays.
    await page.route('**/v1/sessions?*', () => undefined);
    await page.goto(`${service.url}/conversations?status=ended`);
    await expect(page.getByText(en.common.loading).first()).toBeAttached();
    await expect.poll(async () => (await animations(page)).length > 0).toBe(moves);
    await page.unrouteAll({ behavior: 'ignoreErrors' });
  });

  test(`a button ${moves ? 'fades' : 'changes at once'}: ${reducedMotion}`, async ({
    admin: page,
    service,
  }) => {
    await page.emulateMedia({ reducedMotion });
    await page.goto(`${service.url}/keys`);
    const button = page.getByRole('button', { name: en.keys.create }).first();
    const lasts = () =>
      button.evaluate((one) => Number.parseFloat(getComputedStyle(one).transitionDuration));
    await expect.poll(async () => (await lasts()) > 0).toBe(moves);
  });

  test(`a figure on the wall ${moves ? 'arrives' : 'is there'}: ${reducedMotion}`, async ({
    admin: page,
    service,
  }) => {
    await page.emulateMedia({ reducedMotion });
    await page.goto(`${service.url}/wall`);
    const value = page.locator('dd > span').first();
    const name = () => value.evaluate((one) => getComputedStyle(one).animationName);
    await expect.poll(async () => (await name()) !== 'none').toBe(moves);
  });
}

for (const path of ['/conversations', '/overview', '/gallery']) {
  test(`nothing moves at ${path} for whoever wants no motion`, async ({ admin: page, service }) => {
    await page.goto(`${service.url}${path}`);
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    expect(await longestMotion(page)).toBeLessThanOrEqual(1);
  });
}

test('a jump is not animated either', async ({ admin: page, service }) => {
  const told = await tell(service.api, turns(80));
  await page.goto(`${service.url}/conversations/${told.id}`);
  const log = page.getByRole('log');
  await expect(log).toBeVisible();
  const behaviour = await log.evaluate((one) => getComputedStyle(one).scrollBehavior);
  expect(behaviour).toBe('auto');
  await expect(page.getByRole('button', { name: en.conversations.reading.find })).toBeVisible();
});
