import { choiceParam, textParam } from '../../app/search-params';

const KINDS = ['session', 'agent'] as const;

/** A session by the sender's ID or ours, or an agent. */
export interface Target {
  kind: (typeof KINDS)[number];
  id: string;
}

/** Search params of the view: what is to be held or erased, as links from elsewhere name it. */
export type RetentionSearch = Partial<Target>;

export function parseRetentionSearch(search: Record<string, unknown>): RetentionSearch {
  const kind = choiceParam(search, 'kind', KINDS);
  const id = textParam(search, 'id');
  return kind === undefined || id === undefined ? {} : { kind, id };
}

/** Returns what the address names, or null. */
export function targetOf({ kind, id }: RetentionSearch): Target | null {
  return kind === undefined || id === undefined ? null : { kind, id };
}

/** Is the typed text the ID? Space around it does not matter, everything else does. */
export function confirms(typed: string, id: string): boolean {
  return typed.trim() === id.trim() && typed.trim() !== '';
}
