import type { Message, Visit } from '../../../api/generated';

/** Who speaks: it decides side and shape. */
export type Side = 'user' | 'assistant' | 'other';

/** Words for the assistant that the service knows by default. */
const ASSISTANT_WORDS = new Set(['assistant', 'agent', 'ai', 'avatar', 'bot', 'chatbot', 'model']);

export function sideOf(message: Message & { side?: Side | null }): Side {
  if (message.side != null) return message.side;
  const role = message.role.toLowerCase();
  if (role === 'user') return 'user';
  return ASSISTANT_WORDS.has(role) ? 'assistant' : 'other';
}

/** A pause within a visit is shown from this length on. */
const GAP_SECONDS = 30;

/** A row of the reading pane. */
export type Row =
  | {
      kind: 'message';
      key: string;
      message: Message;
      side: Side;
      turnStart: boolean;
      index: number;
    }
  | { kind: 'day'; key: string; at: string }
  | { kind: 'visit'; key: string; visit: Visit; only: boolean }
  | { kind: 'gap'; key: string; seconds: number };

interface Input {
  messages: readonly Message[];
  /** In order. */
  visits: readonly Visit[];
  /** The first message is the first of the conversation. */
  fromStart: boolean;
  /** Local date of a time, in the zone of the page. */
  dateOf: (instant: string) => string;
}

/** Of `2026-11-30T12:00:01Z`, as far as the minute. */
const MINUTE_LENGTH = 16;

/** Returns the rows for messages: days, visits and pauses between them, turns marked. */
export function buildRows({ messages, visits, fromStart, dateOf }: Input): Row[] {
  const rows: Row[] = [];
  const starts = visitStarts(messages, visits, fromStart);
  let previous: Message | null = null;
  let previousDate = '';
  let previousMinute = '';
  let previousAt = 0;
  let date = '';
  for (const [index, message] of messages.entries()) {
    // No date changes within a minute, and asking for each would take most of the time here.
    const minute = message.timestamp.slice(0, MINUTE_LENGTH);
    if (minute !== previousMinute) date = dateOf(message.timestamp);
    previousMinute = minute;
    const newDay = date !== previousDate && (previous !== null || fromStart);
    if (newDay) rows.push({ kind: 'day', key: `day:${message.id}`, at: message.timestamp });
    const visit = starts.get(message.id);
    const at = Date.parse(message.timestamp);
    const silence = previous === null ? 0 : (at - previousAt) / 1000;
    previousAt = at;
    if (visit !== undefined) {
      rows.push({ kind: 'visit', key: `visit:${visit.visit}`, visit, only: visits.length === 1 });
    } else if (silence >= GAP_SECONDS) {
      rows.push({ kind: 'gap', key: `gap:${message.id}`, seconds: silence });
    }
    rows.push({
      kind: 'message',
      key: message.id,
      message,
      side: sideOf(message),
      turnStart:
        newDay || visit !== undefined || previous === null || previous.role !== message.role,
      index,
    });
    previous = message;
    previousDate = date;
  }
  return rows;
}

/** Returns the visit that begins with each message. */
function visitStarts(
  messages: readonly Message[],
  visits: readonly Visit[],
  fromStart: boolean,
): Map<string, Visit> {
  const starts = new Map<string, Visit>();
  const first = messages[0];
  if (first === undefined) return starts;
  let next = 0;
  if (!fromStart) {
    // The visit that is under way before the first loaded message began earlier.
    next = visits.findIndex((visit) => visit.started_at > first.timestamp);
    if (next < 0) return starts;
  }
  for (const message of messages) {
    let begun: Visit | undefined;
    for (let visit = visits[next]; visit !== undefined; visit = visits[next]) {
      if (visit.started_at > message.timestamp) break;
      begun = visit;
      next += 1;
    }
    if (begun !== undefined) starts.set(message.id, begun);
  }
  return starts;
}

/** Do two rows look the same? A message has moved where another was added before it. */
export function isSameRow(a: Row, b: Row): boolean {
  if (a.key !== b.key) return false;
  if (a.kind === 'message' && b.kind === 'message') {
    return a.message === b.message && a.side === b.side && a.turnStart === b.turnStart;
  }
  if (a.kind === 'visit' && b.kind === 'visit') return a.visit === b.visit && a.only === b.only;
  if (a.kind === 'gap' && b.kind === 'gap') return a.seconds === b.seconds;
  return a.kind === b.kind;
}

/** Estimates the height of a row in pixels before it is drawn. */
export function estimateHeight(row: Row | undefined, width: number): number {
  if (row?.kind !== 'message') return 40;
  const charactersPerLine = Math.max(24, (width * 0.72) / 7.2);
  const text = row.message.message;
  const lines = Math.ceil(Math.min(text.length, SHOWN_CHARACTERS) / charactersPerLine);
  return lines * 20 + (row.turnStart ? 46 : 20);
}

/** A longer message shows this much until it is opened. */
export const SHOWN_CHARACTERS = 2_000;
