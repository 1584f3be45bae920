import { randomUUID } from 'node:crypto';
import { settled, tell } from './support/deliveries';
import { audit, en, expect, expectNoSidewaysScroll, loaded, test } from './support/test';

const TEXTS: Record<string, string> = {
  HTML: '<b>bold</b> <img src=x onerror="window.hacked=1"> <iframe src="//evil.test"></iframe>',
  'a script': '<script>window.hacked=1</script><svg onload="window.hacked=1">',
  'a closing tag': '</p></div></article></script><style>body{display:none}</style>',
  entities: '&lt;b&gt; &amp;amp; &#x3C;script&#x3E;',
  'a template': '{{constructor.constructor("window.hacked=1")()}} ${window.hacked=1}',
  Markdown: '# Heading **bold** [link](javascript:window.hacked=1) ![](http://evil.test/x.png)',
  'right-to-left overrides': 'from \u202Eevil\u202C to \u2067isolate\u2069 and \u202Bunclosed',
  'right-to-left text': 'مرحبا بالعالم 123 hello',
  emoji: '👩‍👩‍👧‍👦🏳️‍🌈👍🏽🇩🇪',
  'combining marks': `Z${'\u0310\u0323\u0335'.repeat(300)}algo`,
  'a long word': 'x'.repeat(50_000),
  'U+FFFD': 'before \uFFFD after',
  'line breaks': 'one\ntwo\n\n\nthree\ttab\r\nfour\u2028five',
  'control characters': 'bell \u0007 escape \u001b[31mred\u001b[0m zero \u200B width',
  'a spreadsheet formula': '=HYPERLINK("http://evil.test","click")',
};

for (const [name, text] of Object.entries(TEXTS)) {
  test(`a message with ${name} shows as text and breaks nothing`, async ({
    admin: page,
    service,
  }) => {
    const agent = `X${randomUUID().slice(0, 8)}`;
    const said = [
      { role: 'user', text },
      { role: 'assistant', text: 'The answer' },
    ] as const;
    const told = await tell(service.api, said, { agent });
    await page.goto(`${service.url}/conversations/${told.id}?agent=${agent}`);
    const article = page.getByRole('article').first();
    await expect(article).toBeVisible();
    const shown = article.locator('p').first();
    if (text.length > 2_000) {
      const all = page.getByRole('button', { name: en.conversations.reading.showAll('50,000') });
      await expectNoSidewaysScroll(page);
      await all.click();
      await expect(
        page.getByRole('button', { name: en.conversations.reading.showLess }),
      ).toBeVisible();
    }
    expect(await shown.evaluate((one) => one.textContent)).toBe(text);
    expect(await shown.evaluate((one) => one.childElementCount), 'no markup comes of it').toBe(0);
    await expect(page.getByText('The answer')).toBeAttached();
    await expectNoSidewaysScroll(page);
    const list = page.getByRole('list', { name: en.conversations.listLabel });
    await expect(list.getByRole('listitem')).toHaveCount(1);
    await expect(list.getByRole('listitem')).toContainText(text.slice(0, 20).split('\n')[0] ?? '');
    await loaded(page);
    await audit(page);

    await page.goto(`${service.url}/conversations/${told.id}/print`);
    await expect(page.getByRole('button', { name: en.conversations.print.print })).toBeEnabled();
    await expectNoSidewaysScroll(page);
    expect(await page.evaluate(() => 'hacked' in window)).toBe(false);
  });
}

test('a name is shown as text, too, and its direction disturbs nothing around it', async ({
  admin: page,
  service,
  context,
}) => {
  const agent = `<img src=x onerror=hacked=1>\u202E${randomUUID().slice(0, 6)}`;
  const session = `"><img src=x onerror=hacked=1>${randomUUID()}`;
  const told = await tell(service.api, [{ role: 'user', text: 'needle in hay' }], {
    agent,
    session,
    room: '<b>room</b>\u202E',
    start: Date.now() / 1000 - 60,
  });
  await settled(service.api);
  for (const path of [
    `/conversations/${told.id}?agent=${encodeURIComponent(agent)}`,
    `/conversations?q=needle&agent=${encodeURIComponent(agent)}`,
    `/deliveries?agent_id=${encodeURIComponent(agent)}`,
    `/retention?kind=agent&id=${encodeURIComponent(agent)}`,
    `/overview?agent=${encodeURIComponent(agent)}`,
    `/conversations/${encodeURIComponent(session)}`,
  ]) {
    await page.goto(`${service.url}${path}`);
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await expect(page.getByText(agent).first()).toBeAttached();
    await loaded(page);
    await expectNoSidewaysScroll(page);
    expect(await page.evaluate(() => 'hacked' in window)).toBe(false);
  }
  expect(context.pages()).toHaveLength(1);
});

test('a delivery with hostile bytes is shown as text', async ({ admin: page, service }) => {
  const label = `</pre><script>window.hacked=1</script>${randomUUID()}`;
  expect(await service.api.deliver(`{"${label}": \u202E`)).toBe(422);
  await page.goto(`${service.url}/deliveries?outcome=quarantined`);
  await page.getByRole('list', { name: en.deliveries.list }).getByRole('link').first().click();
  await expect(page.getByRole('tabpanel')).toContainText(label);
  await audit(page);
  expect(await page.evaluate(() => 'hacked' in window)).toBe(false);
});
