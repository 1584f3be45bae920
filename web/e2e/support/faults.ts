import { expect, type BrowserContext } from '@playwright/test';

/** Everything that must not happen in any test: errors in the console, scripts that fail, requests to others. */
export class Faults {
  private readonly found: string[] = [];
  private readonly expected: RegExp[] = [];

  /** Names a fault that the test itself brings about. */
  expect(pattern: RegExp): void {
    this.expected.push(pattern);
  }

  async watch(context: BrowserContext): Promise<void> {
    // Chromium logs violations itself, but not every kind of them.
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`securitypolicyviolation: ${event.violatedDirective} ${event.blockedURI}`);
      });
    });
    context.on('console', (message) => {
      if (message.type() !== 'error') return;
      this.found.push(`console: ${message.text()} (${message.location().url})`);
    });
    context.on('weberror', (error) => {
      this.found.push(`script: ${String(error.error())}`);
    });
    context.on('request', (request) => {
      const { protocol, hostname } = new URL(request.url());
      const own = hostname === '127.0.0.1' || !protocol.startsWith('http');
      if (!own) this.found.push(`request to another host: ${request.url()}`);
    });
  }

  check(): void {
    const unexpected = this.found.filter((one) => !this.expected.some((ok) => ok.test(one)));
    expect(unexpected, 'faults seen by the browser').toEqual([]);
  }
}
