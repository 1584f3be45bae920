import { expect, test } from 'vitest';
import { shortcutFor, type KeyPress } from './shortcuts';

const press = (key: string, more: Partial<KeyPress> = {}): KeyPress => ({
  key,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  typing: false,
  dialog: false,
  ...more,
});

test('single keys give commands', () => {
  expect(shortcutFor(press('j'), null)).toEqual({ command: 'next' });
  expect(shortcutFor(press('?'), null)).toEqual({ command: 'shortcuts' });
  expect(shortcutFor(press('x'), null)).toBeNull();
});

test('a key that is typed into a field means itself', () => {
  expect(shortcutFor(press('j', { typing: true }), null)).toBeNull();
  expect(shortcutFor(press('k', { typing: true, ctrlKey: true }), null)).toEqual({
    command: 'palette',
  });
});

test('g and a letter lead to a place', () => {
  expect(shortcutFor(press('k'), 'g')).toEqual({ go: '/keys' });
  expect(shortcutFor(press('x'), 'g')).toBeNull();
});

test('an open dialog has all keys to itself', () => {
  expect(shortcutFor(press('j', { dialog: true }), null)).toBeNull();
});
