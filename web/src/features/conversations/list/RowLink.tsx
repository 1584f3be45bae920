import { useLocation } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { parseSearch, stringifySearch } from '../../../app/search-params';
import styles from './List.module.css';

interface Props {
  id: string;
  message?: string;
  /** It is the one that is being read. */
  current: boolean;
  children: ReactNode;
}

/**
 * A link to a conversation, or to a message in it, that keeps the filters. It is a plain one: the
 * list handles the presses for all, since rows come and go as one scrolls.
 */
export function RowLink({ id, message, current, children }: Props) {
  const search = useLocation({ select: (location) => location.searchStr });
  return (
    <a
      href={`/conversations/${id}${withMessage(search, message)}`}
      className={styles.row}
      aria-current={current ? 'page' : undefined}
      data-session={id}
      data-message={message}
    >
      {children}
    </a>
  );
}

function withMessage(search: string, message: string | undefined): string {
  if (message === undefined && !search.includes('message=')) return search;
  return stringifySearch({ ...parseSearch(search), message });
}
