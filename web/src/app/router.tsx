import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
} from '@tanstack/react-router';
import ConversationsView from '../features/conversations';
import { parseConversationSearch, parseMessageSearch } from '../features/conversations/search';
import { parseDeliveriesSearch } from '../features/deliveries/search';
import { parseOverviewSearch } from '../features/overview/search';
import { parseRetentionSearch } from '../features/retention/search';
import { parseSetupSearch } from '../features/setup/search';
import { NotFound, RouteError } from './route-states';
import { parseSearch, stringifySearch } from './search-params';
import { Shell } from './Shell';
import { Start } from './Start';
import { loadFeatureTexts } from '../texts';

/** Loads a feature together with the texts and the client that are not part of the first view. */
function feature<Module>(load: () => Promise<Module>): () => Promise<Module> {
  return async () => (await Promise.all([load(), loadFeatureTexts(), import('../api/client')]))[0];
}

// Every route of the page, on one screen. The list of conversations is the first view; every other
// feature is loaded when it is first visited.
const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound });

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  component: lazyRouteComponent(() => import('../features/signin')),
});
const wall = createRoute({
  getParentRoute: () => root,
  path: '/wall',
  component: lazyRouteComponent(feature(() => import('../features/wall'))),
});

/** Everything below needs a session and has the rail. */
const shell = createRoute({ getParentRoute: () => root, id: 'shell', component: Shell });

const start = createRoute({ getParentRoute: () => shell, path: '/', component: Start });
const conversations = createRoute({
  getParentRoute: () => shell,
  path: '/conversations',
  validateSearch: parseConversationSearch,
  component: ConversationsView,
});
const conversation = createRoute({
  getParentRoute: () => conversations,
  path: '$id',
  validateSearch: parseMessageSearch,
  component: lazyRouteComponent(
    () => import('../features/conversations/reading'),
    'ConversationPane',
  ),
});
const print = createRoute({
  getParentRoute: () => shell,
  path: '/conversations/$id/print',
  component: lazyRouteComponent(() => import('../features/conversations/print')),
});
const overview = createRoute({
  getParentRoute: () => shell,
  path: '/overview',
  validateSearch: parseOverviewSearch,
  component: lazyRouteComponent(feature(() => import('../features/overview'))),
});
const deliveries = createRoute({
  getParentRoute: () => shell,
  path: '/deliveries',
  validateSearch: parseDeliveriesSearch,
  component: lazyRouteComponent(feature(() => import('../features/deliveries'))),
});
const delivery = createRoute({
  getParentRoute: () => deliveries,
  path: '$id',
  component: lazyRouteComponent(
    feature(() => import('../features/deliveries')),
    'DeliveryPane',
  ),
});
const setup = createRoute({
  getParentRoute: () => shell,
  path: '/setup',
  validateSearch: parseSetupSearch,
  component: lazyRouteComponent(feature(() => import('../features/setup'))),
});
const health = createRoute({
  getParentRoute: () => shell,
  path: '/health',
  component: lazyRouteComponent(feature(() => import('../features/health'))),
});
const keys = createRoute({
  getParentRoute: () => shell,
  path: '/keys',
  component: lazyRouteComponent(feature(() => import('../features/keys'))),
});
const retention = createRoute({
  getParentRoute: () => shell,
  path: '/retention',
  validateSearch: parseRetentionSearch,
  component: lazyRouteComponent(feature(() => import('../features/retention'))),
});
const gallery = createRoute({
  getParentRoute: () => shell,
  path: '/gallery',
  component: lazyRouteComponent(feature(() => import('../features/gallery'))),
});

/** Whatever is not a route is still shown with the rail. */
const unknown = createRoute({ getParentRoute: () => shell, path: '$', component: NotFound });

const tree = root.addChildren([
  signIn,
  wall,
  shell.addChildren([
    start,
    conversations.addChildren([conversation]),
    print,
    overview,
    deliveries.addChildren([delivery]),
    setup,
    health,
    keys,
    retention,
    gallery,
    unknown,
  ]),
]);

export const router = createRouter({
  routeTree: tree,
  parseSearch,
  stringifySearch,
  defaultPreload: 'intent',
  scrollRestoration: false,
  defaultErrorComponent: RouteError,
  defaultNotFoundComponent: NotFound,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
