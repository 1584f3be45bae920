import type { Delivery, Message } from '../../api/generated';

/** What the body of a delivery says about its message. */
export interface DeliveredMessage {
  text: string;
  /** When it was said, in milliseconds since 1970; null where the body names no time. */
  at: number | null;
}

type Members = Record<string, unknown>;

/** Returns the message in the body, in any of the sender's formats; null where there is none. */
export function messageIn(body: string | null | undefined): DeliveredMessage | null {
  const root = members(parse(body));
  const data = members(root?.['data']);
  const old = members(root?.['message']);
  const text = data?.['message'] ?? old?.['content'];
  if (typeof text !== 'string') return null;
  const times = [data?.['timestamp'], old?.['timestamp'], root?.['timestamp']];
  return { text: asShown(text), at: times.map(milliseconds).find((one) => one !== null) ?? null };
}

function parse(body: string | null | undefined): unknown {
  try {
    return JSON.parse(body ?? 'null');
  } catch {
    return null;
  }
}

function members(value: unknown): Members | null {
  return typeof value === 'object' && value !== null ? (value as Members) : null;
}

/** Above this, a number of seconds is one of milliseconds. */
const MAX_SECONDS = 1e11;

function milliseconds(value: unknown): number | null {
  const number = typeof value === 'number' ? value : Number(value ?? Number.NaN);
  if (Number.isFinite(number)) return number > MAX_SECONDS ? number : number * 1000;
  const parsed = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(parsed) ? null : parsed;
}

/** What PostgreSQL cannot store is shown as U+FFFD. */
function asShown(text: string): string {
  return text.replaceAll('\0', '\uFFFD').replaceAll(/\p{Surrogate}/gu, '\uFFFD');
}

/** May the delivery have become part of a conversation? */
export function belongsToConversation({ outcome, session_id, agent_id }: Delivery): boolean {
  const stored = outcome === 'stored' || outcome === 'duplicate';
  return stored && typeof session_id === 'string' && typeof agent_id === 'string';
}

/** Returns the message with the delivered text, of several the one that arrived closest to the delivery. */
export function closestMessage(
  messages: readonly Message[],
  text: string,
  receivedAt: string,
): string | null {
  const distance = ({ received_at }: Message) =>
    Math.abs(Date.parse(received_at) - Date.parse(receivedAt));
  const same = messages.filter(({ message }) => message === text);
  return same.toSorted((a, b) => distance(a) - distance(b))[0]?.id ?? null;
}
