import { settled } from './support/deliveries';
import {
  audit,
  en,
  expect,
  expectNoSidewaysScroll,
  expectNothingCutOff,
  heading,
  loaded,
  test,
} from './support/test';

const texts = en.overview;

test.beforeEach(async ({ service }) => {
  await settled(service.api);
});

test('each figure has its definition and leads to the conversations behind it', async ({
  admin: page,
  service,
}) => {
  await page.goto(`${service.url}/overview?period=last_30d`);
  const figures = page.getByRole('button', { name: /Definition, statistics and SQL$/ });
  await expect(figures.first()).toBeVisible();
  await loaded(page);
  await audit(page);
  await figures.first().click();
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByText('analytics_v1').first()).toBeVisible();
  await expect(page).toHaveURL(/figure=/);
  await audit(page);
  await page.reload();
  await expect(dialog, 'it has an address').toBeVisible();
  await dialog.getByRole('button', { name: texts.figure.conversations }).click();
  await expect(heading(page, en.conversations.title)).toBeVisible();
  await expect(page).toHaveURL(/from=|period=/);
});

test('each chart has a table, a CSV, its SQL and a summary', async ({ admin: page, service }) => {
  test.slow();
  await page.goto(`${service.url}/overview?period=last_30d`);
  await expect(page.getByRole('heading', { level: 2 }).first()).toBeVisible();
  await loaded(page);
  // Some are loaded once they come near the window.
  await expect(async () => {
    await page.evaluate(() => {
      const scrolls = [...document.querySelectorAll('*')].find(
        (one) =>
          one.scrollHeight > one.clientHeight + 200 && getComputedStyle(one).overflowY === 'auto',
      );
      scrolls?.scrollTo(0, scrolls.scrollTop + 600);
    });
    await expect(page.getByRole('region', { name: texts.quiet.title, exact: true })).toBeVisible({
      timeout: 300,
    });
  }).toPass();
  await loaded(page);
  await audit(page);

  const charts = page.locator('section[aria-labelledby]').filter({
    has: page.getByRole('button', { name: texts.chart.more }),
  });
  const count = await charts.count();
  expect(count).toBeGreaterThanOrEqual(6);
  for (let index = 0; index < count; index += 1) {
    const chart = charts.nth(index);
    const more = chart.getByRole('button', { name: texts.chart.more });
    await more.scrollIntoViewIfNeeded();
    const summary = (await chart.locator('p[id$=summary]').textContent()) ?? '';
    expect.soft(summary.trim(), (await chart.getAttribute('aria-labelledby')) ?? '').not.toBe('');
    const table = chart.getByRole('button', { name: new RegExp(`^${texts.chart.showTable}`) });
    if ((await table.count()) > 0) {
      await table.click();
      await expect(chart.getByRole('table')).toBeVisible();
    }
    await more.click();
    const file = page.waitForEvent('download');
    await page.getByRole('menuitem', { name: texts.chart.csv }).click();
    expect((await file).suggestedFilename()).toMatch(/\.csv$/);
  }
  await audit(page);

  await charts.first().getByRole('button', { name: texts.chart.more }).click();
  await page.getByRole('menuitem', { name: texts.chart.sql }).click();
  await expect(page.getByRole('dialog')).toContainText('analytics_v1');
  await audit(page);
});

test('range, comparison and agents are in the address', async ({ admin: page, service }) => {
  await page.goto(`${service.url}/overview`);
  await page.getByRole('button', { name: new RegExp(`^${en.dateRange.label}:`) }).click();
  await audit(page);
  await page.getByRole('button', { name: en.dateRange.last_30d }).click();
  await expect(page).toHaveURL(/period=last_30d/);
  await page.getByLabel(texts.compare).selectOption('none');
  await expect(page).toHaveURL(/compare=none/);
  await page.getByRole('button', { name: `${texts.agents}: ${texts.allAgents}` }).click();
  await page.getByRole('dialog').getByRole('checkbox').first().check();
  await expect(page).toHaveURL(/agent=/);
  await audit(page);
  await page.reload();
  await expect(page.getByRole('button', { name: texts.clearFilters })).toBeVisible();
  await loaded(page);
  await page.goBack();
  await expect(page).not.toHaveURL(/agent=/);
});

test('no figure and no name is cut off at any width', async ({ admin: page, service }) => {
  test.slow();
  for (const path of ['/overview?period=last_30d', '/wall']) {
    await page.goto(`${service.url}${path}`);
    await loaded(page);
    for (const width of [320, 390, 800, 1_000, 1_280, 1_920, 3_840]) {
      await page.setViewportSize({ width, height: 800 });
      await expectNothingCutOff(page);
      await expectNoSidewaysScroll(page);
    }
  }
});
