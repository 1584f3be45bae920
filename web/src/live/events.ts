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

/** Parses the data of an event, which is the thing itself; null where it is none of those above. */
export function parseEvent(name: string, data: string): LiveEvent | null {
  if (name === 'gap') return { type: 'gap' };
  if (!EVENT_NAMES.some((one) => one === name)) return null;
  try {
    const value: unknown = JSON.parse(data);
    const isObject = typeof value === 'object' && value !== null;
    return isObject ? ({ type: name, [name]: value } as unknown as LiveEvent) : null;
  } catch {
    return null;
  }
}
