import { randomUUID } from 'node:crypto';
import { settled, tell, turns } from './support/deliveries';
import { audit, en, expect, expectNoSidewaysScroll, heading, loaded, test } from './support/test';

const texts = en.overview.wallLink;

test('a screen gets a link of its own, shows figures without any text, and ends with its key', async ({
  admin: page,
  service,
  newBrowser,
  faults,
}) => {
  // The key of the link is revoked.
  faults.expect(/status of 401 .*\/v1\/browser-session\)/);
  const text = `Not for the lobby ${randomUUID()}`;
  const agent = `W${randomUUID().slice(0, 6)}`;
  await tell(
    service.api,
    turns(4, () => text),
    { agent, start: Date.now() / 1000 - 60 },
  );
  await settled(service.api);
  const name = `Lobby ${randomUUID().slice(0, 6)}`;
  await page.goto(`${service.url}/overview`);
  await page.getByRole('button', { name: texts.open }).click();
  const dialog = page.getByRole('dialog', { name: texts.title });
  await dialog.getByLabel(texts.name).fill(name);
  await audit(page);
  await dialog.getByRole('button', { name: texts.create }).click();
  const link = await dialog.locator('code').textContent();
  await audit(page);
  await dialog.getByRole('button', { name: texts.done }).click();

  const context = await newBrowser({ viewport: { width: 1920, height: 1080 } });
  const answers: Promise<string>[] = [];
  context.on('response', (answer) => {
    if (answer.url().includes('/v1/')) answers.push(answer.text().catch(() => ''));
  });
  const screen = await context.newPage();
  await screen.goto(link ?? '');
  await expect(heading(screen, en.wall.today)).toBeVisible();
  await expect(screen.getByText(/^Checked /)).toBeVisible();
  await expect(screen, 'a photo shows no key').toHaveURL(`${service.url}/wall`);
  await loaded(screen);
  await audit(screen);
  await expectNoSidewaysScroll(screen);
  expect((await Promise.all(answers)).join('\n')).not.toContain(text);
  await expect(screen.locator('body')).not.toContainText(agent);
  await screen.reload();
  await expect(heading(screen, en.wall.today)).toBeVisible();

  await page.goto(`${service.url}/keys`);
  await page.getByRole('button', { name: en.keys.revokeOf(name) }).click();
  await page.getByRole('dialog').getByRole('button', { name: en.keys.revoke }).click();
  await expect(page.getByRole('button', { name: en.keys.revokeOf(name) })).toHaveCount(0);
  await screen.reload();
  await expect(heading(screen, en.wall.invalidTitle)).toBeVisible();
  await audit(screen);
  const late = await (await newBrowser()).newPage();
  await late.goto(link ?? '');
  await expect(heading(late, en.wall.invalidTitle)).toBeVisible();
});
