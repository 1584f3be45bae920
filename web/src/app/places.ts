import type { Scope } from '../api/browser-session';
import type { IconName } from '../components/Icon';
import type { Texts } from '../texts';

/** A place in the rail: its path, the scope that it needs, its key after `g`. */
export interface Place {
  name: PlaceName;
  path: string;
  scope: Scope;
  icon: IconName;
  shortcut: string;
}

type PlaceName = keyof Pick<
  Texts['shell'],
  'conversations' | 'overview' | 'deliveries' | 'setup' | 'health' | 'keys' | 'retention'
>;

export const PLACES: readonly Place[] = [
  { name: 'conversations', path: '/conversations', scope: 'read', icon: 'chat', shortcut: 'c' },
  { name: 'overview', path: '/overview', scope: 'analytics', icon: 'chart', shortcut: 'o' },
  { name: 'deliveries', path: '/deliveries', scope: 'admin', icon: 'inbox', shortcut: 'd' },
  { name: 'setup', path: '/setup', scope: 'admin', icon: 'plug', shortcut: 's' },
  { name: 'health', path: '/health', scope: 'admin', icon: 'pulse', shortcut: 'h' },
  { name: 'keys', path: '/keys', scope: 'admin', icon: 'key', shortcut: 'k' },
  { name: 'retention', path: '/retention', scope: 'erase', icon: 'archive', shortcut: 'r' },
];

/** Returns the places that the session may see. */
export function visiblePlaces(can: (scope: Scope) => boolean): Place[] {
  return PLACES.filter((place) => can(place.scope));
}
