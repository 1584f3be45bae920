import { randomUUID } from 'node:crypto';
import { message, quarantine, tell } from './support/deliveries';
import { audit, en, expect, heading, loaded, Service, signIn, test } from './support/test';

const texts = en.deliveries;
/** So many that a retry can be cancelled while it runs. */
const MANY = 2_000;

// Its quarantine is retried as a whole, so no other test may use it.
let service: Service;

test.beforeAll(async () => {
  service = await Service.start();
});
test.afterAll(async () => {
  await service.close();
});
test.beforeEach(async ({ context }) => {
  await signIn(context, service);
});

test('a delivery is shown as it arrived, and leads to what it became', async ({ page }) => {
  const told = await tell(service.api, [{ role: 'user', text: 'Arrived like this: "ä"' }]);
  await page.goto(`${service.url}/deliveries?session_id=${told.session}`);
  const rows = page.getByRole('list', { name: texts.list }).getByRole('listitem');
  await expect(rows).toHaveCount(2);
  await expect(rows.first()).toHaveAttribute('aria-setsize', '2');
  await expect(rows.last()).toHaveAttribute('aria-posinset', '2');
  await audit(page);
  await rows.filter({ hasText: 'chat.push' }).getByRole('link').click();
  await expect(page.getByRole('tabpanel')).toContainText('"message": "Arrived like this: \\"ä\\""');
  await loaded(page);
  await audit(page);
  await page.getByRole('tab', { name: texts.exact }).click();
  await expect(page.getByRole('tabpanel')).toContainText('{"agent_id":"A80HVD8577","event_type"');
  await page.getByRole('tab', { name: texts.hex }).click();
  await expect(page.getByRole('region', { name: texts.hexTable })).toContainText('7b 22 61 67');
  await audit(page);
  await page.getByRole('link', { name: texts.openMessage }).click();
  await expect(page.getByRole('article')).toContainText('Arrived like this');
  await expect(page.getByRole('article')).toHaveAttribute('data-marked', 'true');
});

test('filters are in the address, and survive a reload and the back button', async ({ page }) => {
  const agent = `D${randomUUID().slice(0, 6)}`;
  const body = message(agent, 'filters', { role: 'user', text: 'once' });
  for (const time of ['first', 'again']) {
    expect(await service.api.deliver(body), time).toBe(200);
  }
  await page.goto(`${service.url}/deliveries`);
  const rows = page.getByRole('list', { name: texts.list }).getByRole('listitem');
  await page.getByRole('button', { name: texts.filters }).click();
  await page.getByLabel(texts.agentId, { exact: true }).fill(agent);
  await audit(page);
  await page.getByRole('button', { name: en.common.apply }).last().click();
  await expect(rows).toHaveCount(2);
  await page.getByRole('button', { name: texts.outcomes.duplicate }).click();
  await expect(rows).toHaveCount(1);
  await expect(page).toHaveURL(/outcome=duplicate/);
  await page.reload();
  await expect(rows).toHaveCount(1);
  await expect(page.getByRole('button', { name: texts.outcomes.duplicate })).toHaveAttribute(
    'aria-pressed',
    'true',
  );
  await page.goBack();
  await expect(rows).toHaveCount(2);
  await page.getByRole('button', { name: texts.outcomes.unhandled }).click();
  await expect(page.getByText(texts.noMatch)).toBeVisible();
  await audit(page);
  await page.getByRole('button', { name: texts.clearFilters }).click();
  await expect(page).toHaveURL(`${service.url}/deliveries`);
});

test('a delivery that cannot be read says why, and can be retried', async ({ page, faults }) => {
  faults.expect(/status of 422 .*\/retry\)/);
  await quarantine(service.api, 1);
  await page.goto(`${service.url}/deliveries?outcome=quarantined`);
  await page.getByRole('list', { name: texts.list }).getByRole('link').first().click();
  await expect(page.getByText(texts.outcomeHelp.quarantined)).toBeVisible();
  await loaded(page);
  await audit(page);
  await page.getByRole('button', { name: texts.retry, exact: true }).click();
  await expect(page.getByText(texts.retryFailed)).toBeVisible();
  await audit(page);
});

test('all that match are counted, retried with progress, and the retry can be cancelled', async ({
  page,
}) => {
  await quarantine(service.api, MANY, 'many');
  await page.goto(`${service.url}/deliveries?outcome=quarantined`);
  const rows = page.getByRole('list', { name: texts.list }).getByRole('listitem');
  await expect(rows.first()).toBeVisible();
  const retryAll = page.getByRole('button', { name: texts.retryAll });
  const dialog = page.getByRole('dialog', { name: texts.planTitle });
  const job = page.getByRole('region', { name: texts.job });

  await retryAll.click();
  await expect(dialog).toContainText(/[\d,]+ quarantined deliveries match the filters/);
  await audit(page);
  await dialog.getByRole('button', { name: en.common.cancel }).click();
  await expect(dialog, 'nothing is retried').toHaveCount(0);
  await expect(page).not.toHaveURL(/job=/);

  await retryAll.click();
  await dialog.getByRole('button', { name: /^Retry [\d,]+$/ }).click();
  await expect(page).toHaveURL(/job=/);
  await expect(job.getByRole('status')).toContainText(/^Retrying: [\d,]+ of [\d,]+$/);
  await expect(job.getByRole('progressbar')).toBeVisible();
  await job.getByRole('button', { name: texts.cancelJob }).click();
  await expect(job.getByRole('status')).toContainText(/^Retry cancelled after \d/);
  await audit(page);
  await page.reload();
  await expect(job.getByRole('status'), 'its progress has an address').toContainText(/^Retry /);

  await job.getByRole('button', { name: texts.dismiss }).click();
  await expect(page).not.toHaveURL(/job=/);
  await retryAll.click();
  await dialog.getByRole('button', { name: /^Retry [\d,]+$/ }).click();
  await expect(job.getByRole('status')).toContainText(/^Retry finished: 0 stored, [\d,]+ still in/);
  await audit(page);
  await expect(heading(page, texts.title)).toBeVisible();
});
