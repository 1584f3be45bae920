import type { Agent, Matches, Message, Session, Visit } from '../../api/generated';
import { requestJson, type Query } from '../../api/request';

/** A session as the list shows it. */
export type ListedSession = Session & {
  first_user_message?: { id: string; message: string; timestamp: string } | null;
  flags?: string[] | null;
};

export interface Page<T> {
  data: T[];
  next_cursor?: string | null;
  has_more: boolean;
}

/** A page of messages; one around a message leads both ways. */
export interface MessagePage extends Page<Message> {
  previous_cursor?: string | null;
  has_previous?: boolean;
}

const LIST_PAGE = 50;
const MATCHES_PAGE = 50;
/** With 500 messages a page, the longest conversations load quickly and no page is slow to draw. */
export const MESSAGES_PAGE = 200;
const LARGEST_PAGE = 500;

export function fetchSessions(query: Query, cursor: string | null, signal?: AbortSignal) {
  return requestJson<Page<ListedSession>>('/v1/sessions', {
    query: { ...query, include: 'first_user_message,flags', limit: LIST_PAGE, cursor },
    signal,
  });
}

const sessionPath = (id: string) => `/v1/sessions/${encodeURIComponent(id)}`;

/** Returns a conversation with its flags and its continuations. */
export function fetchConversation(id: string, signal?: AbortSignal): Promise<Session> {
  return requestJson(sessionPath(id), { query: { include: 'completeness,continues' }, signal });
}

export function fetchMessages(id: string, query: Query, signal?: AbortSignal) {
  return requestJson<MessagePage>(`${sessionPath(id)}/messages`, {
    query: { limit: MESSAGES_PAGE, ...query },
    signal,
  });
}

/** Calls `onPage` with all messages of a conversation in order, a page at a time. */
export async function eachMessagePage(
  id: string,
  signal: AbortSignal,
  onPage: (messages: Message[]) => boolean,
): Promise<void> {
  let cursor: string | null | undefined = null;
  do {
    const query: Query = { order: 'asc', limit: LARGEST_PAGE, cursor };
    const page: MessagePage = await fetchMessages(id, query, signal);
    if (!onPage(page.data)) return;
    cursor = page.has_more ? page.next_cursor : null;
  } while (cursor != null && !signal.aborted);
}

/** Returns the visits of a conversation: the first 500, and no conversation has had more yet. */
export async function fetchVisits(id: string, signal?: AbortSignal): Promise<Visit[]> {
  const query = { limit: LARGEST_PAGE, order: 'asc' };
  const path = `${sessionPath(id)}/visits`;
  return (await requestJson<Page<Visit>>(path, { query, signal })).data;
}

export function fetchMatches(
  query: Query,
  cursor: string | null,
  signal?: AbortSignal,
): Promise<Matches> {
  return requestJson('/v1/search', { query: { ...query, limit: MATCHES_PAGE, cursor }, signal });
}

export async function fetchAgentIds(signal?: AbortSignal): Promise<string[]> {
  const query = { limit: LARGEST_PAGE };
  const { data } = await requestJson<Page<Agent>>('/v1/agents', { query, signal });
  return data.map((agent) => agent.agent_id);
}

/** A saved view: the filters of the list, as search params. */
export interface SavedView {
  name: string;
  place?: string | null;
  query: string;
}

/** Other places of the page may save views, too. */
const PLACE = 'conversations';

const viewPath = (name: string) => `/v1/views/${encodeURIComponent(name)}`;

export async function fetchViews(signal?: AbortSignal): Promise<SavedView[]> {
  const { data } = await requestJson<{ data: SavedView[] }>('/v1/views', { signal });
  return data.filter((view) => view.place === PLACE && typeof view.query === 'string');
}

export function saveView({ name, query }: SavedView): Promise<unknown> {
  return requestJson(viewPath(name), { method: 'PUT', body: { place: PLACE, query } });
}

/** Saves a view under another name, then deletes the one that it had. */
export async function renameView(view: SavedView, to: string): Promise<void> {
  await saveView({ ...view, name: to });
  await deleteView(view.name);
}

export function deleteView(name: string): Promise<unknown> {
  return requestJson(viewPath(name), { method: 'DELETE' });
}
