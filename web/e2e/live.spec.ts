import { randomUUID } from 'node:crypto';
import type { BrowserContext, Page, Request } from '@playwright/test';
import { idOf, join, message, tell, turns } from './support/deliveries';
import { audit, en, expect, signIn, test } from './support/test';

const TABS = 8;
const texts = en.conversations;

/** Counts the streams of a browser that are open. */
function countStreams(context: BrowserContext): () => number {
  const open = new Set<Request>();
  const isStream = (url: string) => new URL(url).pathname === '/v1/stream';
  context.on('request', (request) => isStream(request.url()) && open.add(request));
  context.on('requestfinished', (request) => open.delete(request));
  context.on('requestfailed', (request) => open.delete(request));
  // A tab that is closed takes its stream with it, without an event.
  return () => [...open].filter((request) => !request.frame().page().isClosed()).length;
}

test('eight tabs follow what is said, over one stream', async ({ context, service }) => {
  test.slow();
  const streams = countStreams(context);
  const { api } = service;
  const told = await tell(api, turns(2));
  await signIn(context, service);
  const tabs: Page[] = [];
  for (let index = 0; index < TABS; index += 1) {
    const tab = await context.newPage();
    await tab.goto(`${service.url}/conversations/${told.id}`);
    tabs.push(tab);
  }
  for (const tab of tabs) await expect(tab.getByRole('article')).toHaveCount(2);
  await expect.poll(streams).toBe(1);

  const simulated = service.simulate('--sessions', '30', '--rate', '60');
  const say = async (text: string) => {
    await api.deliver(message(told.agent, told.session, { role: 'user', text }));
  };
  await say('Heard in every tab');
  for (const tab of tabs) await expect(tab.getByText('Heard in every tab').last()).toBeVisible();

  // The first tab holds the stream; when it goes, another goes on.
  await tabs.shift()?.close();
  await expect.poll(streams).toBe(1);
  await say('Heard after the first tab was closed');
  for (const tab of tabs) {
    await expect(tab.getByText('Heard after the first tab was closed').last()).toBeVisible();
  }
  await simulated;
  expect(streams()).toBe(1);
  for (const tab of tabs) await expect(tab.getByRole('log')).toBeVisible();
});

test('a conversation grows at its end, and keeps its place when one has scrolled up', async ({
  admin: page,
  service,
}) => {
  const { api } = service;
  const [agent, session] = ['GROWS', randomUUID()];
  const start = Date.now() / 1000 - 100;
  await api.deliver(join(agent, session, 'lobby', start));
  for (const [index, said] of turns(60).entries()) {
    await api.deliver(message(agent, session, said, start + index));
  }
  const id = await idOf(api, session, 60);
  await page.goto(`${service.url}/conversations/${id}`);
  const log = page.getByRole('log', { name: texts.reading.log });
  await expect(log, 'one announcer, not the log itself').toHaveAttribute('aria-live', 'off');
  await expect(log.getByRole('article').last()).toContainText('Line 59');
  await expect(page.locator('header').getByText(texts.status.live, { exact: true })).toBeVisible();

  await api.deliver(message(agent, session, { role: 'user', text: 'Followed at the end' }));
  await expect(log.getByText('Followed at the end')).toBeInViewport();
  await audit(page);

  await log.focus();
  // What is before the loaded part comes as one scrolls.
  await expect(async () => {
    await page.keyboard.press('Home');
    await expect(log.getByText('Line 0', { exact: true })).toBeInViewport({ timeout: 300 });
  }).toPass();
  for (const text of ['one', 'two', 'three']) {
    await api.deliver(message(agent, session, { role: 'assistant', text: `New ${text}` }));
  }
  const toEnd = page.getByRole('button', { name: texts.reading.newMessages(3) });
  await expect(toEnd).toBeVisible();
  await expect(log.getByText('Line 0', { exact: true })).toBeInViewport();
  await expect(
    page.getByRole('status').filter({ hasText: texts.reading.newMessages(3) }),
    'said once for all three',
  ).toHaveCount(1);
  await audit(page);
  await toEnd.click();
  await expect(log.getByText('New three')).toBeInViewport();
  await expect(toEnd).toHaveCount(0);
});

test('a new conversation comes to the top of the list by itself', async ({
  admin: page,
  service,
}) => {
  await page.goto(`${service.url}/conversations`);
  const rows = page.getByRole('list', { name: texts.listLabel }).getByRole('listitem');
  await expect(rows.first()).toBeVisible();
  const text = `Just now ${randomUUID().slice(0, 8)}`;
  await tell(service.api, [{ role: 'user', text }], { start: Date.now() / 1000 - 6 });
  await expect(rows.first()).toContainText(text);
  await expect(rows.first()).toContainText(texts.status.live);
});
