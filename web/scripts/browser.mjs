// A browser for scripts that need a running service.
//
//     VERBATIM_URL      URL of the service, http://127.0.0.1:8080 by default
//     VERBATIM_API_KEY  a key with the scope `admin`
//     CHROMIUM          the browser, /usr/bin/chromium by default
import { chromium } from '@playwright/test';

export const url = (process.env.VERBATIM_URL ?? 'http://127.0.0.1:8080').replace(/\/$/, '');
const key = process.env.VERBATIM_API_KEY;

/** Starts the browser. */
export function launch() {
  if (key === undefined) throw new Error('Set VERBATIM_API_KEY to a key with the scope "admin".');
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** Returns a new signed-in context, without cache and storage. */
export async function signedIn(browser, options = {}) {
  const context = await browser.newContext({ baseURL: url, ...options });
  const answer = await context.request.post('/v1/browser-session', { data: { key } });
  if (!answer.ok()) throw new Error(`Signing in failed: ${answer.status()}`);
  return context;
}

/** Returns the JSON of a route. */
export async function get(context, path) {
  const answer = await context.request.get(path);
  if (!answer.ok()) throw new Error(`${path}: ${answer.status()} ${await answer.text()}`);
  return answer.json();
}
