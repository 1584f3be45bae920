import type { Erased, Message, Session } from '../api/generated';

/** What the stream tells of, as the page's parts see it. */
export type LiveEvent =
  | { type: 'message'; message: Message }
  | { type: 'session'; session: Session }
  | { type: 'erasure'; erasure: Erased }
  | { type: 'gap' };

/** `off`: nobody listens; `retrying`: the connection is away and comes back by itself. */
export type LiveStatus = 'off' | 'connecting' | 'open' | 'retrying';

export const EVENT_NAMES = ['message', 'session', 'erasure', 'gap'] as const;

/** Parses the data of an event; null where it is none of those above. */
export function parseEvent(name: string, data: string): LiveEvent | null {
  if (name === 'gap') return { type: 'gap' };
  try {
    const value = JSON.parse(data) as Record<string, unknown>;
    const known = EVENT_NAMES.some((one) => one === name) && typeof value[name] === 'object';
    return known ? ({ type: name, [name]: value[name] } as unknown as LiveEvent) : null;
  } catch {
    return null;
  }
}
