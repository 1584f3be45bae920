// Measures the page in a browser against a running service with many conversations.
//
//     psql "$DATABASE_URL" -f scripts/measure.sql
//     VERBATIM_URL=… VERBATIM_API_KEY=… npm run measure [list|scroll|open|long]...
//
// The service should hold 100,000 conversations, one of them with 2,000 messages and one with
// 100,000. The script prints times and their targets, and does not fail.
import { get, launch, signedIn } from './browser.mjs';

const RUNS = Number(process.env.RUNS ?? 3);
const VIEWPORT = { width: 1280, height: 800 };
/** Mid-range phone on a slow mobile network. */
const SLOW_CPU = 4;
const SLOW_NETWORK = {
  offline: false,
  latency: 150,
  downloadThroughput: (1.6 * 1024 * 1024) / 8,
  uploadThroughput: (750 * 1024) / 8,
};
const SCROLL_MS = 8_000;
/** Time for the browser to draw its own windows. */
const OPENED_MS = 2_000;
const WHEEL_MS = 50;
const WHEEL_PX = 400;

const browser = await launch();
const wanted = process.argv.slice(2);
for (const [name, measure] of Object.entries({ list, scroll, open, long })) {
  if (wanted.length === 0 || wanted.includes(name)) await measure();
}
await browser.close();

/** First visit: from navigation to the painted list, without a cache. */
async function list() {
  const times = [];
  for (let run = 0; run < RUNS; run += 1) {
    const { context, page } = await openPage({ slow: true });
    await page.goto('/conversations');
    times.push(await paintedAt(page, '[data-session]'));
    if (run === 0) await printRequests(page);
    await context.close();
  }
  print('list painted, 4 × slower CPU, slow network', times, 'under 1,500');
}

/** Scrolls through pages of the list. */
async function scroll() {
  const { context, page } = await openPage({ slow: true });
  await page.goto('/conversations');
  await page.locator('[data-session]').first().waitFor();
  await page.mouse.move(400, 500);
  await scrollAndPrint(page, 'list scrolled, 4 × slower CPU', WHEEL_PX);
  await context.close();
}

/** Opens a conversation of 2,000 messages from the list, and by its URL. */
async function open() {
  const { context, page } = await openPage({ slow: false });
  const id = await sessionOf(context, 1_900, 2_100);
  const times = [];
  for (let run = 0; run < RUNS; run += 1) {
    await page.goto('/conversations?min=1900&max=2100');
    await page.locator(`[data-session="${id}"]`).waitFor();
    await page.evaluate(markPress);
    await page.locator(`[data-session="${id}"]`).click();
    const painted = await paintedAt(page, 'article');
    times.push(painted - (await page.evaluate(() => window.pressedAt)));
  }
  print('conversation of 2,000 messages opened from the list', times, 'under 500');
  const direct = [];
  for (let run = 0; run < RUNS; run += 1) {
    await page.goto(`/conversations/${id}`);
    direct.push(await paintedAt(page, 'article'));
  }
  print('… by its address, page cached', direct, 'under 500');
  await context.close();
}

/** Opens and scrolls the longest conversation. */
async function long() {
  const { context, page } = await openPage({ slow: false });
  const id = await sessionOf(context, 50_000, 1_000_000);
  await page.goto(`/conversations/${id}`);
  print('conversation of 100,000 messages by its address', [await paintedAt(page, 'article')]);
  await page.mouse.move(900, 500);
  await scrollAndPrint(page, 'conversation of 100,000 scrolled', WHEEL_PX);
  await scrollAndPrint(page, '… faster', WHEEL_PX * 5);
  await page.getByRole('log').press('End');
  await slowDown(page);
  await scrollAndPrint(page, '… 4 × slower CPU and slow network', -WHEEL_PX);
  await context.close();
}

async function openPage({ slow }) {
  const context = await signedIn(browser, { viewport: VIEWPORT });
  const page = await context.newPage();
  await page.addInitScript(watchTasks);
  // The browser opens other windows with each of ours. Users have had theirs open for long.
  await new Promise((resolve) => setTimeout(resolve, OPENED_MS));
  if (slow) await slowDown(page);
  return { context, page };
}

async function slowDown(page) {
  const client = await page.context().newCDPSession(page);
  await client.send('Network.enable');
  await client.send('Network.emulateNetworkConditions', SLOW_NETWORK);
  await client.send('Emulation.setCPUThrottlingRate', { rate: SLOW_CPU });
}

/** Returns the ID of the longest conversation with `min` to `max` messages. */
async function sessionOf(context, min, max) {
  const query = `sort=messages&min_messages=${min}&max_messages=${max}&limit=1`;
  const { data } = await get(context, `/v1/sessions?${query}`);
  if (data.length === 0) throw new Error(`No conversation has ${min} to ${max} messages.`);
  return data[0].id;
}

/** Returns when the first matching element was painted, in milliseconds since navigation. */
function paintedAt(page, selector) {
  return page.evaluate(
    (wantedSelector) =>
      new Promise((resolve) => {
        const check = () => {
          if (document.querySelector(wantedSelector) === null) return requestAnimationFrame(check);
          // The frame with the element has been painted when the next task runs.
          return requestAnimationFrame(() => setTimeout(() => resolve(performance.now()), 0));
        };
        check();
      }),
    selector,
  );
}

/** Runs in the page: stores the time of the next press. */
function markPress() {
  addEventListener('pointerdown', () => (window.pressedAt = performance.now()), {
    capture: true,
    once: true,
  });
}

/** Runs in the page: stores long tasks, and the time between frames. */
function watchTasks() {
  window.tasks = [];
  window.frames = [];
  new PerformanceObserver((entries) => {
    for (const entry of entries.getEntries()) {
      window.tasks.push({ start: entry.startTime, ms: entry.duration });
    }
  }).observe({ type: 'longtask', buffered: true });
  let before = 0;
  const frame = (now) => {
    if (before > 0) window.frames.push(now - before);
    before = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

async function scrollAndPrint(page, name, px) {
  await page.evaluate(() => {
    window.tasks = [];
    window.frames = [];
  });
  const end = Date.now() + SCROLL_MS;
  while (Date.now() < end) {
    await page.mouse.wheel(0, px);
    await new Promise((resolve) => setTimeout(resolve, WHEEL_MS));
  }
  const { tasks, frames, rows } = await page.evaluate(() => ({
    tasks: window.tasks.map((task) => task.ms),
    frames: window.frames,
    rows: document.querySelectorAll('[data-index]').length,
  }));
  const sorted = frames.toSorted((a, b) => a - b);
  const p95 = sorted[Math.floor(sorted.length * 0.95)] ?? 0;
  console.log(
    `${name}: ${tasks.length} long tasks, longest ${Math.round(Math.max(0, ...tasks))} ms ` +
      `(no task over 100); frames 95 % within ${Math.round(p95)} ms, ` +
      `longest ${Math.round(sorted.at(-1) ?? 0)} ms; ${rows} rows drawn`,
  );
}

/** Prints the requests and long tasks of the first visit. */
async function printRequests(page) {
  const requests = await page.evaluate(() =>
    performance.getEntriesByType('resource').map((entry) => ({
      name: entry.name.replace(location.origin, ''),
      start: Math.round(entry.startTime),
      end: Math.round(entry.responseEnd),
      bytes: entry.transferSize,
    })),
  );
  for (const { name, start, end, bytes } of requests) {
    console.log(
      `  ${String(start).padStart(6)} – ${String(end).padStart(6)} ms ${String(bytes).padStart(8)} B  ${name.slice(0, 90)}`,
    );
  }
  console.log(
    `  tasks: ${(await page.evaluate(() => window.tasks)).map(({ start, ms }) => `${Math.round(ms)} ms at ${Math.round(start)}`).join(', ')}`,
  );
}

function print(name, times, aim) {
  const sorted = times.toSorted((a, b) => a - b);
  const median = Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0);
  const all = times.map((time) => Math.round(time)).join(', ');
  console.log(`${name}: ${median} ms (${all})${aim === undefined ? '' : `; aim: ${aim}`}`);
}
