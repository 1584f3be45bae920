import type { CommandName } from './commands';
import { PLACES } from './places';

export type ShortcutAction = { command: CommandName } | { go: string };

/** How long the second key may come after `g`. */
export const SEQUENCE_MS = 1_000;

const KEYS: Record<string, CommandName> = {
  j: 'next',
  k: 'previous',
  '/': 'search',
  '?': 'shortcuts',
  f: 'find',
};

export interface KeyPress {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  /** The key is typed into a field. */
  typing: boolean;
  /** A dialog is open and has the keys. */
  dialog: boolean;
}

/** Returns what a key press means, after the key before it in a sequence; null where it means nothing. */
export function shortcutFor(press: KeyPress, before: string | null): ShortcutAction | null {
  if (press.dialog) return null;
  if ((press.ctrlKey || press.metaKey) && press.key.toLowerCase() === 'k') {
    return { command: 'palette' };
  }
  if (press.ctrlKey || press.metaKey || press.altKey || press.typing) return null;
  if (before === 'g') {
    const place = PLACES.find((one) => one.shortcut === press.key);
    return place === undefined ? null : { go: place.path };
  }
  if (press.key === 'Escape') return { command: 'back' };
  const command = KEYS[press.key];
  return command === undefined ? null : { command };
}
