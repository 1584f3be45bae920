import { QueryClientProvider, type QueryClient } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { router } from './router';
import { SessionProvider } from './session';
import { SettingsProvider } from './settings';

/** The page: settings, cache, session, then the routes. */
export function App({ client }: { client: QueryClient }) {
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
