import { expect, test } from 'vitest';
import type { Key } from '../../api/generated';
import { EMPTY_FORM, formErrors, newKey, toggleScope } from './form';
import { keyState } from './state';

const KEY: Key = {
  id: 'a',
  name: 'A',
  scopes: ['read'],
  created_at: '2026-11-01T00:00:00Z',
  agents: null,
};

test('a key is valid until it expires or is revoked', () => {
  const now = Date.parse('2026-11-30T12:00:00Z');
  expect(keyState(KEY, now)).toBe('active');
  expect(keyState({ ...KEY, expires_at: '2026-11-30T12:00:00Z' }, now)).toBe('expired');
  expect(keyState({ ...KEY, expires_at: '2026-12-30T12:00:00Z' }, now)).toBe('active');
  expect(keyState({ ...KEY, revoked_at: '2026-11-29T12:00:00Z' }, now)).toBe('revoked');
});

test('a form becomes a request without what was left empty', () => {
  expect(newKey({ ...EMPTY_FORM, name: ' Lobby ', expiry: 'never' })).toEqual({
    name: 'Lobby',
    scopes: ['read'],
  });
  expect(newKey({ ...EMPTY_FORM, name: 'L', agents: 'A1, A2\nA3' })).toEqual({
    name: 'L',
    scopes: ['read'],
    agents: ['A1', 'A2', 'A3'],
    expires: '90d',
  });
  expect(
    newKey({
      ...EMPTY_FORM,
      name: 'L',
      scopes: ['read', 'admin'],
      expiry: 'date',
      date: '2027-01-31',
    }),
  ).toMatchObject({ scopes: ['admin'], expires: '2027-01-31' });
});

test('what is missing in a form is named', () => {
  expect(formErrors({ ...EMPTY_FORM, name: 'L' }, '2026-11-30')).toEqual({});
  expect(
    formErrors(
      { ...EMPTY_FORM, name: ' ', scopes: [], expiry: 'date', date: '2026-11-30' },
      '2026-11-30',
    ),
  ).toEqual({ name: 'nameMissing', scopes: 'scopesMissing', date: 'dateMissing' });
});

test('scopes keep their order', () => {
  expect(toggleScope(['export'], 'read')).toEqual(['read', 'export']);
  expect(toggleScope(['read', 'export'], 'read')).toEqual(['export']);
});
