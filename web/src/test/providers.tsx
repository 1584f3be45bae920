import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import '../api/client';
import { fireEvent, render } from '@testing-library/react';
import type { ReactNode } from 'react';
import { vi } from 'vitest';
import { SettingsProvider } from '../app/settings';

/** Settings and an empty cache without retries. */
export function TestProviders({ children }: { children: ReactNode }) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  return (
    <SettingsProvider>
      <QueryClientProvider client={client}>{children}</QueryClientProvider>
    </SettingsProvider>
  );
}

/** Draws a part of the page within `TestProviders`. */
export function renderPart(part: ReactNode) {
  return render(part, { wrapper: TestProviders });
}

export interface Answer {
  status?: number;
  body?: unknown;
}

/** Answers requests by `METHOD path?query`; returns those that came, in order. */
export function mockService(answers: Record<string, Answer | (() => Answer)>): string[] {
  const came: string[] = [];
  vi.stubGlobal('fetch', (input: RequestInfo | URL, options?: RequestInit) => {
    const request =
      input instanceof Request ? input : new Request(new URL(input, location.href), options);
    const { pathname, search } = new URL(request.url);
    const name = `${request.method} ${pathname}${search}`;
    came.push(name);
    const found = answers[name];
    const { status = 200, body } = typeof found === 'function' ? found() : (found ?? NOT_FOUND);
    return Promise.resolve(Response.json(body ?? null, { status }));
  });
  return came;
}

const NOT_FOUND: Answer = { status: 404, body: { code: 'not_found', detail: 'Nothing is there.' } };

/** jsdom has no modal dialogs. */
export function mockDialogs(): void {
  HTMLDialogElement.prototype.showModal = function showModal() {
    this.open = true;
  };
  HTMLDialogElement.prototype.close = function close() {
    this.open = false;
  };
}

/** Opens the panel of a popover's button; jsdom has no popovers. */
export function openPopover(button: HTMLElement): void {
  const panel = document.getElementById(button.getAttribute('popovertarget') ?? '');
  if (panel === null) throw new Error('the button opens no popover');
  panel.hidePopover = () => undefined;
  fireEvent(panel, Object.assign(new Event('toggle'), { newState: 'open' }));
}
