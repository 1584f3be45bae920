import {
  test as base,
  expect,
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
} from '@playwright/test';
import { en } from '../../src/texts/en';
import { Faults } from './faults';
import { Service } from './service';

export { audit, expectNoSidewaysScroll, expectNothingCutOff } from './audit';
export { Service } from './service';
export { en, expect };

interface Fixtures {
  faults: Faults;
  /** Opens the browser of somebody else, watched as the test's own. */
  newBrowser: (options?: BrowserContextOptions) => Promise<BrowserContext>;
  /** A page that is signed in with every scope. */
  admin: Page;
}

interface WorkerFixtures {
  /** A service with two weeks of history, shared by the tests of a worker. */
  service: Service;
}

export const test = base.extend<Fixtures, WorkerFixtures>({
  service: [
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const service = await Service.start();
      await service.simulate('--since', '14d', '--sessions', '150', '--seed', '7');
      await use(service);
      await service.close();
    },
    { scope: 'worker', timeout: 120_000 },
  ],
  faults: [
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const faults = new Faults();
      await use(faults);
      faults.check();
    },
    { auto: true },
  ],
  context: async ({ context, faults }, use) => {
    await faults.watch(context);
    await use(context);
  },
  newBrowser: async ({ browser, faults, contextOptions, locale, timezoneId, viewport }, use) => {
    const made: BrowserContext[] = [];
    await use(async (options = {}) => {
      const context = await browser.newContext({
        ...contextOptions,
        ...(locale !== undefined && { locale }),
        ...(timezoneId !== undefined && { timezoneId }),
        viewport,
        ...options,
      });
      await faults.watch(context);
      made.push(context);
      return context;
    });
    for (const context of made) await context.close();
  },
  admin: async ({ page, context, service }, use) => {
    await signIn(context, service);
    await use(page);
  },
});

/** Signs a browser in, without the view for it; with every scope where no key is given. */
export async function signIn(
  context: BrowserContext,
  { url, key: all }: Service,
  key = all,
): Promise<void> {
  const answer = await context.request.post(`${url}/v1/browser-session`, { data: { key } });
  expect(answer.status(), await answer.text()).toBe(200);
}

/** The heading of a view. */
export function heading(page: Page, name: string) {
  return page.getByRole('heading', { level: 1, name, exact: true });
}

/** Waits until a view has loaded everything that it asked for. */
export async function loaded(page: Page): Promise<void> {
  await expect(page.locator('[aria-busy=true]')).toHaveCount(0);
  await page.waitForLoadState('load');
}
