import { randomUUID } from 'node:crypto';
import { tell, turns } from './support/deliveries';
import { audit, en, expect, heading, loaded, test } from './support/test';

const texts = en.retention;

test('a conversation is erased once its ID is typed, with a receipt', async ({
  admin: page,
  context,
  service,
  faults,
}) => {
  // The reader asks for what is gone.
  faults.expect(/status of 404 .*\/v1\/sessions\//);
  const told = await tell(service.api, turns(3), { agent: `E${randomUUID().slice(0, 6)}` });
  const reader = await context.newPage();
  await reader.goto(`${service.url}/conversations/${told.id}`);
  await expect(reader.getByRole('article')).toHaveCount(3);

  await page.goto(`${service.url}/retention`);
  await loaded(page);
  await audit(page);
  await page.getByLabel(texts.ids.session).fill(told.session);
  await page.getByRole('button', { name: texts.find }).click();
  await expect(page.getByRole('heading', { name: texts.found })).toBeVisible();
  await audit(page);
  await page.getByRole('button', { name: texts.erase }).click();
  const dialog = page.getByRole('dialog', { name: texts.eraseTitle });
  const erase = dialog.getByRole('button', { name: texts.eraseNow });
  await expect(erase).toBeDisabled();
  await audit(page);
  const field = dialog.getByLabel(texts.typeId(told.session));
  await field.fill('something else');
  await expect(erase).toBeDisabled();
  await field.press('Enter');
  await expect(dialog, 'Enter does not get around it').toBeVisible();
  await field.fill(told.session);
  await erase.click();

  const receipt = page.getByRole('status').filter({ hasText: texts.receiptHelp });
  await expect(receipt).toContainText(told.session);
  await expect(receipt).toContainText('messages');
  await audit(page);
  await expect(reader.getByText(texts.title)).not.toHaveCount(0);
  await expect(reader.getByText(en.conversations.reading.erased)).toBeVisible();
  await expect(reader.getByRole('article')).toHaveCount(0);
  await audit(reader);
  await reader.reload();
  await expect(reader.getByText(en.states.notFoundHelp)).toBeVisible();
  await expect(page.getByRole('table').filter({ hasText: told.agent })).toBeVisible();
});

test('what is held cannot be erased until it is released', async ({
  admin: page,
  service,
  faults,
}) => {
  faults.expect(/status of 409 .*\/v1\//);
  const agent = `H${randomUUID().slice(0, 6)}`;
  await tell(service.api, turns(1), { agent });
  await page.goto(`${service.url}/retention?kind=agent&id=${agent}`);
  await page.getByRole('button', { name: texts.hold, exact: true }).click();
  await expect(page.getByText(texts.held)).toBeVisible();
  const release = page
    .getByRole('row')
    .filter({ hasText: agent })
    .getByRole('button', { name: new RegExp(texts.release) });
  await expect(release).toBeVisible();
  await audit(page);

  await page.getByRole('button', { name: texts.erase }).click();
  const dialog = page.getByRole('dialog', { name: texts.eraseTitle });
  await dialog.getByLabel(texts.typeId(agent)).fill(agent);
  await dialog.getByRole('button', { name: texts.eraseNow }).click();
  await expect(dialog.getByRole('alert')).toContainText(/hold|held/i);
  await audit(page);
  await dialog.getByRole('button', { name: en.common.cancel }).click();

  await release.click();
  const confirm = page.getByRole('dialog', { name: texts.releaseTitle });
  await audit(page);
  await confirm.getByRole('button', { name: texts.release }).click();
  await expect(release).toHaveCount(0);
  await expect(heading(page, texts.title)).toBeVisible();
});
