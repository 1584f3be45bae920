import type { QueryClient } from '@tanstack/react-query';
import { createRoot } from 'react-dom/client';
import { isAskedEarly } from './api/early';
import { makeQueryClient } from './api/query-client';
import { App } from './app/App';
import { router } from './app/router';
import { sessionQuery } from './app/session';
import { sessionPages } from './features/conversations/list/use-sessions';
import './tokens.css';
import './base.css';

/** The first drawing waits for no answer longer than this. */
const FIRST_DRAWING_MAX_MS = 500;

/** Loads what the first view shows: drawing it once is quicker than drawing it piece by piece. */
async function loadFirstView(client: QueryClient): Promise<void> {
  const list = isAskedEarly('/v1/sessions') && client.prefetchInfiniteQuery(sessionPages({}));
  await Promise.all([client.prefetchQuery(sessionQuery), list, router.load()]);
}

async function start(root: HTMLElement): Promise<void> {
  const client = makeQueryClient();
  const late = new Promise((resolve) => setTimeout(resolve, FIRST_DRAWING_MAX_MS));
  await Promise.race([loadFirstView(client), late]);
  createRoot(root).render(<App client={client} />);
}

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no element #root');
// Not awaited: chunks that are loaded on demand import this one, and would wait for it.
void start(root);
