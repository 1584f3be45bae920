import { textParam } from '../../app/search-params';

export interface ConversationSearch {
  q?: string;
}

export function parseConversationSearch(search: Record<string, unknown>): ConversationSearch {
  const q = textParam(search, 'q');
  return q === undefined ? {} : { q };
}

export interface MessageSearch {
  message?: string;
}

export function parseMessageSearch(search: Record<string, unknown>): MessageSearch {
  const message = textParam(search, 'message');
  return message === undefined ? {} : { message };
}
