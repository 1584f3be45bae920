import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { Message } from './api/generated';
import { SettingsProvider } from './app/settings';

/** What components need around them, without retries. */
export function TestProviders({ children }: { children: ReactNode }) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  return (
    <SettingsProvider>
      <QueryClientProvider client={client}>{children}</QueryClientProvider>
    </SettingsProvider>
  );
}

/** Returns a message that was said at a second of a minute. */
export function messageAt(second: number, more: Partial<Message> = {}): Message {
  const timestamp = `2026-11-30T12:00:${String(second).padStart(2, '0')}.000000Z`;
  return {
    id: `m${second}`,
    session_id: 's',
    agent_id: 'a',
    role: 'user',
    message: `Message ${second}`,
    timestamp,
    received_at: timestamp,
    ...more,
  };
}
