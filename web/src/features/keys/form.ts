import type { NewKey, ScopeName } from '../../api/generated';
import { isDate } from '../../components/DateRange/range';

export const SCOPES = ['read', 'analytics', 'export', 'erase', 'admin'] as const;
export const EXPIRIES = ['never', '7d', '30d', '90d', '365d', 'date'] as const;
export type ExpiryChoice = (typeof EXPIRIES)[number];

/** What is entered for a new key. */
export interface KeyForm {
  name: string;
  scopes: ScopeName[];
  /** Agent IDs, separated by white space. */
  agents: string;
  expiry: ExpiryChoice;
  date: string;
}

export const EMPTY_FORM: KeyForm = {
  name: '',
  scopes: ['read'],
  agents: '',
  expiry: '90d',
  date: '',
};

export interface FormErrors {
  name?: 'nameMissing';
  scopes?: 'scopesMissing';
  date?: 'dateMissing';
}

/** Returns what is missing in the form; `today` is the date in UTC, as expiries begin there. */
export function formErrors(form: KeyForm, today: string): FormErrors {
  return {
    ...(form.name.trim() === '' && { name: 'nameMissing' }),
    ...(form.scopes.length === 0 && { scopes: 'scopesMissing' }),
    ...(form.expiry === 'date' &&
      !(isDate(form.date) && form.date > today) && { date: 'dateMissing' }),
  };
}

/** Returns the request for a form without errors. */
export function newKey(form: KeyForm): NewKey {
  const agents = form.agents.split(/[\s,]+/).filter(Boolean);
  return {
    name: form.name.trim(),
    scopes: form.scopes.includes('admin') ? ['admin'] : form.scopes,
    ...(agents.length > 0 && { agents }),
    ...(form.expiry !== 'never' && { expires: form.expiry === 'date' ? form.date : form.expiry }),
  };
}

/** Adds the scope, or takes it out. */
export function toggleScope(scopes: readonly ScopeName[], scope: ScopeName): ScopeName[] {
  return SCOPES.filter((one) => (one === scope) !== scopes.includes(one));
}
