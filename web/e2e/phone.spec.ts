import { tell, turns } from './support/deliveries';
import {
  audit,
  en,
  expect,
  expectNoSidewaysScroll,
  heading,
  loaded,
  signIn,
  test,
} from './support/test';

const VIEWS = [
  ['/conversations', en.conversations.title],
  ['/overview', en.overview.title],
  ['/deliveries', en.deliveries.title],
  ['/setup', en.setup.title],
  ['/health', en.health.title],
  ['/keys', en.keys.title],
  ['/retention', en.retention.title],
  ['/gallery', en.gallery.title],
] as const;

for (const width of [320, 390]) {
  test.describe(`on a phone of ${String(width)} px`, () => {
    test.use({ viewport: { width, height: 740 }, hasTouch: true, isMobile: true });

    for (const [path, title] of VIEWS) {
      test(`${path} needs no sideways scrolling`, async ({ admin: page, service }) => {
        await page.goto(`${service.url}${path}`);
        await expect(heading(page, title)).toBeVisible();
        // The gallery shows what is loading, and stays so.
        if (path !== '/gallery') await loaded(page);
        await expectNoSidewaysScroll(page);
        await audit(page);
      });
    }

    test('the list, a conversation and the way back take turns', async ({
      admin: page,
      service,
    }) => {
      await tell(service.api, turns(30), { agent: `phone-${String(width)}` });
      await page.goto(`${service.url}/conversations?agent=phone-${String(width)}`);
      const rows = page.getByRole('list', { name: en.conversations.listLabel }).getByRole('link');
      await rows.first().tap();
      await expect(page.getByRole('log')).toBeVisible();
      await expect(rows.first()).toBeHidden();
      await expectNoSidewaysScroll(page);
      await audit(page);
      await page.getByRole('link', { name: en.conversations.back }).tap();
      await expect(rows.first()).toBeVisible();

      // The places that have no room in the bar are in the menu.
      await page.getByRole('button', { name: new RegExp(`^${en.shell.settings}`) }).tap();
      await expectNoSidewaysScroll(page);
      await audit(page);
      await page.getByRole('link', { name: en.shell.retention }).tap();
      await expect(heading(page, en.retention.title)).toBeVisible();
    });

    test('signing in fits', async ({ page, service }) => {
      await page.goto(`${service.url}/sign-in`);
      await expect(heading(page, en.signin.title)).toBeVisible();
      await expectNoSidewaysScroll(page);
      await audit(page);
    });
  });
}

test('what can be pressed on a phone is large enough for a finger', async ({
  newBrowser,
  service,
}) => {
  const context = await newBrowser({
    viewport: { width: 390, height: 740 },
    hasTouch: true,
    isMobile: true,
  });
  await signIn(context, service);
  const page = await context.newPage();
  await page.goto(`${service.url}/conversations`);
  const places = page.getByRole('navigation').getByRole('link');
  await expect(places.first()).toBeVisible();
  for (const place of await places.all()) {
    if (!(await place.isVisible())) continue;
    const box = await place.boundingBox();
    expect(box?.height).toBeGreaterThanOrEqual(44);
    expect(box?.width).toBeGreaterThanOrEqual(44);
  }
});
