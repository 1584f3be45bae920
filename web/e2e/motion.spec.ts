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
