import type { Message } from '../../../api/generated';
import type { Query } from '../../../api/request';
import type { MessagePage } from '../api';

/** Where a conversation is opened: at its start, its end, or a message in it. */
export type Anchor = { at: 'start' } | { at: 'end' } | { at: 'message'; id: string };

/** The part of a conversation that is loaded, in its order. */
export interface LoadedWindow {
  messages: readonly Message[];
  /** Query for the page before or after; null where there is none. */
  before: Query | null;
  after: Query | null;
  /** What changed it last: only live messages are followed. */
  change: 'opened' | 'page' | 'live';
  /** Live messages added at the end since it was opened. */
  arrived: number;
}

/** Returns the query of the first page from an anchor. */
export function openQuery(anchor: Anchor): Query {
  if (anchor.at === 'message') return { around: anchor.id };
  return { order: anchor.at === 'start' ? 'asc' : 'desc' };
}

/** Returns the window of the first page. */
export function openWindow(anchor: Anchor, page: MessagePage): LoadedWindow {
  const messages = inOrder(page.data, openQuery(anchor));
  const rest = { messages, change: 'opened', arrived: 0 } as const;
  const onward = nextQuery(page);
  if (anchor.at === 'end') return { ...rest, before: withOrder(onward, 'desc'), after: null };
  return {
    ...rest,
    before: withOrder(previousQuery(page), 'desc'),
    after: withOrder(onward, 'asc'),
  };
}

/** Adds the page before the window; it was read backwards. */
export function prependPage(window: LoadedWindow, page: MessagePage): LoadedWindow {
  return {
    ...window,
    messages: [...without(inOrder(page.data, window.before), window.messages), ...window.messages],
    before: withOrder(nextQuery(page), 'desc'),
    change: 'page',
  };
}

/** Adds the page after the window. */
export function appendPage(window: LoadedWindow, page: MessagePage): LoadedWindow {
  return {
    ...window,
    messages: [...window.messages, ...without(inOrder(page.data, window.after), window.messages)],
    after: withOrder(nextQuery(page), 'asc'),
    change: 'page',
  };
}

/**
 * Adds a live message at its place. One that belongs beyond the loaded part is left out: it comes
 * with its page.
 */
export function receiveMessage(window: LoadedWindow, message: Message): LoadedWindow {
  const { messages } = window;
  const known = messages.findLastIndex((one) => one.id === message.id);
  if (known >= 0) {
    return { ...window, messages: messages.with(known, message) };
  }
  const at = messages.findLastIndex((one) => one.timestamp <= message.timestamp) + 1;
  const atEnd = at === messages.length;
  if ((atEnd && window.after !== null) || (at === 0 && window.before !== null)) {
    return atEnd ? { ...window, arrived: window.arrived + 1 } : window;
  }
  return {
    ...window,
    messages: messages.toSpliced(at, 0, message),
    change: 'live',
    arrived: window.arrived + 1,
  };
}

/** Returns the place of the first loaded message in the whole conversation, where it is known. */
export function firstPosition(window: LoadedWindow, total: number): number | null {
  if (window.before === null) return 0;
  if (window.after === null) return Math.max(0, total - window.messages.length);
  return null;
}

function nextQuery(page: MessagePage): Query | null {
  return page.has_more && page.next_cursor != null ? { cursor: page.next_cursor } : null;
}

function previousQuery(page: MessagePage): Query | null {
  return page.has_previous === true && page.previous_cursor != null
    ? { cursor: page.previous_cursor }
    : null;
}

function withOrder(query: Query | null, order: 'asc' | 'desc'): Query | null {
  return query === null ? null : { ...query, order };
}

/** Returns a page in the order of the conversation, whichever way it was read. */
function inOrder(messages: Message[], query: Query | null): Message[] {
  return query?.['order'] === 'desc' ? messages.toReversed() : messages;
}

/** Leaves out messages that are loaded already: pages overlap where messages arrived between them. */
function without(page: Message[], loaded: readonly Message[]): Message[] {
  const ids = new Set(loaded.map((message) => message.id));
  return page.filter((message) => !ids.has(message.id));
}
