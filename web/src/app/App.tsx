import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { useState } from 'react';
import { makeQueryClient } from '../api/query-client';
import { router } from './router';
import { SessionProvider } from './session';
import { SettingsProvider } from './settings';

/** The page: settings, cache, session, then the routes. */
export function App() {
  const [client] = useState(makeQueryClient);
  return (
    <SettingsProvider>
      <QueryClientProvider client={client}>
        <SessionProvider>
          <RouterProvider router={router} />
        </SessionProvider>
      </QueryClientProvider>
    </SettingsProvider>
  );
}
