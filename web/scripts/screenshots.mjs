// Writes screenshots of every view to docs/screenshots: light, dark, and on a phone.
//
//     verbatim simulate --url http://127.0.0.1:8080/webhook --since 30d
//     VERBATIM_API_KEY=… npm run screenshots [view]...
//
// SIZES=320,2560 adds widths that are not committed; OUT selects another folder.
import { mkdir, writeFile } from 'node:fs/promises';
import { get, launch, signedIn } from './browser.mjs';
import { withPalette } from './png.mjs';

const OUT = process.env.OUT ?? '../docs/screenshots';
/** A page without changes for this time is complete. */
const QUIET_MS = 700;
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 780 };

const extra = (process.env.SIZES ?? '').split(',').filter(Boolean).map(Number);
const KINDS = [
  { name: 'light', viewport: DESKTOP, colorScheme: 'light' },
  { name: 'dark', viewport: DESKTOP, colorScheme: 'dark' },
  { name: 'phone', viewport: PHONE, colorScheme: 'light', hasTouch: true },
  ...extra.map((width) => ({
    name: String(width),
    viewport: { width, height: width > 1000 ? 1440 : 640 },
    colorScheme: 'light',
  })),
];

/** Returns the views: path, and actions before the screenshot. */
async function viewsOf(context) {
  const sessions = await get(
    context,
    '/v1/sessions?limit=200&min_messages=8&max_messages=40&include=first_user_message',
  );
  const isLatin = ({ first_user_message: first }) =>
    /^[\x20-\x7e]{20,}$/.test(first?.message ?? '');
  const session = sessions.data.find(isLatin) ?? sessions.data[0];
  const stored = await get(context, '/v1/deliveries?limit=1&outcome=stored&event_type=chat.push');
  const quarantined = await get(context, '/v1/deliveries?limit=1&outcome=quarantined');
  const delivery = quarantined.data[0] ?? stored.data[0];
  return [
    { name: 'conversations', path: '/conversations' },
    { name: 'conversation', path: `/conversations/${session.id}` },
    { name: 'search', path: '/conversations?q=open' },
    { name: 'filters', path: '/conversations?period=last_7d&engaged=true', press: 'Filters' },
    { name: 'overview', path: '/overview' },
    { name: 'deliveries', path: '/deliveries' },
    { name: 'delivery', path: `/deliveries/${delivery.id}` },
    { name: 'setup', path: '/setup' },
    { name: 'health', path: '/health' },
    { name: 'keys', path: '/keys' },
    { name: 'retention', path: `/retention?kind=agent&id=${session.agent_id}` },
    { name: 'print', path: `/conversations/${session.id}/print` },
    { name: 'wall', path: '/wall' },
    { name: 'gallery', path: '/gallery' },
    { name: 'sign-in', path: '/sign-in', signedOut: true },
  ];
}

const browser = await launch();
const wanted = process.argv.slice(2);
await mkdir(OUT, { recursive: true });
for (const { name: kind, ...options } of KINDS) {
  const context = await signedIn(browser, {
    ...options,
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  page.on('pageerror', (error) => console.error(`${kind}: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') console.error(`${kind}: ${message.text()}`);
  });
  for (const view of await viewsOf(context)) {
    if (wanted.length > 0 && !wanted.includes(view.name)) continue;
    if (view.signedOut) await context.clearCookies();
    await page.goto(view.path);
    await page.getByRole('heading').first().waitFor();
    if (view.press !== undefined) await page.getByTitle(view.press, { exact: true }).click();
    await settled(page);
    const path = `${OUT}/${view.name}-${kind}.png`;
    const picture = withPalette(await page.screenshot());
    await writeFile(path, picture);
    console.log(`${String(picture.length).padStart(8)} B  ${path}`);
  }
  await context.close();
}
await browser.close();

/** Waits until the page stops changing. The live stream stays open, so the network is never idle. */
async function settled(page) {
  await page.evaluate(() => document.fonts.ready);
  let before = '';
  for (let now = await page.content(); now !== before; now = await page.content()) {
    before = now;
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  }
}
