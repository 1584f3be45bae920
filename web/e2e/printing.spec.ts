import { tell, turns } from './support/deliveries';
import { audit, en, expect, test } from './support/test';

const texts = en.conversations;

test('a conversation is printed as a whole, without what is around it', async ({
  admin: page,
  service,
}) => {
  const told = await tell(
    service.api,
    turns(200, (index) => `Printed line ${String(index)}`),
    {
      start: Date.now() / 1000 - 7_200,
    },
  );
  await page.goto(`${service.url}/conversations/${told.id}`);
  await page.getByRole('button', { name: texts.reading.more, exact: true }).click();
  await audit(page);
  await page.getByRole('menuitem', { name: texts.reading.print }).click();
  await expect(page).toHaveURL(/\/print$/);
  const print = page.getByRole('button', { name: texts.print.print });
  await expect(print, 'everything is loaded').toBeEnabled();
  await expect(page.getByText(/^Printed line \d+$/)).toHaveCount(200);
  await audit(page);

  await page.emulateMedia({ media: 'print' });
  await expect(page.getByRole('navigation', { name: en.shell.places })).toBeHidden();
  await expect(print).toBeHidden();
  await expect(page.getByText('Printed line 0', { exact: true })).toBeVisible();
  const dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  expect(dark).toBe('rgb(255, 255, 255)');
  const pdf = await page.pdf({ format: 'A4' });
  const pages = pdf.toString('latin1').match(/\/Type\s*\/Page\b/g)?.length ?? 0;
  expect(pages, 'all pages, not the one in sight').toBeGreaterThan(3);
});

test('in the dark theme, too, paper stays white', async ({ admin: page, service }) => {
  const told = await tell(service.api, turns(2));
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.goto(`${service.url}/conversations/${told.id}/print`);
  await expect(page.getByRole('button', { name: texts.print.print })).toBeEnabled();
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
  const colours = await page.evaluate(() => {
    const { backgroundColor, color } = getComputedStyle(document.body);
    return { backgroundColor, color };
  });
  expect(colours).toEqual({ backgroundColor: 'rgb(255, 255, 255)', color: 'rgb(20, 23, 28)' });
});
