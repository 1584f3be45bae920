import type { InfiniteData } from '@tanstack/react-query';
import type { Session } from '../../../api/generated';
import type { ListedSession, Page } from '../api';

type Pages = InfiniteData<Page<ListedSession>, string | null>;

/** Returns all rows once each: one that moved between two requests is in two pages. */
export function uniqueSessions(pages: readonly Page<ListedSession>[]): ListedSession[] {
  return [
    ...new Map(pages.flatMap((page) => page.data).map((session) => [session.id, session])).values(),
  ];
}

/** Brings a session that is shown up to date; what only the list knows of it is kept. */
export function applySession(data: Pages, session: Session): Pages {
  return {
    ...data,
    pages: data.pages.map((page) =>
      page.data.some((one) => one.id === session.id)
        ? {
            ...page,
            data: page.data.map((one) => (one.id === session.id ? { ...one, ...session } : one)),
          }
        : page,
    ),
  };
}

/** Leaves the first page, so that bringing the list up to date is one request. */
export function firstPageOnly(data: Pages): Pages {
  return { pages: data.pages.slice(0, 1), pageParams: data.pageParams.slice(0, 1) };
}

/** Returns the first line of the user, or null where the user said nothing. */
export function firstUserLine(session: ListedSession): string | null {
  if (session.first_user_message !== undefined) return session.first_user_message?.message ?? null;
  const first = session.messages?.find((message) => message.role.toLowerCase() === 'user');
  return first?.message ?? null;
}
