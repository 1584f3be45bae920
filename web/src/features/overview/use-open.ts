import { useNavigate } from '@tanstack/react-router';
import { useSession } from '../../app/session';
import { conversationsSearch, type Behind } from './links';
import type { OverviewSearch } from './search';

/** Returns how to open the conversations behind a figure; undefined for a key that sees no text. */
export function useOpenConversations(
  search: OverviewSearch,
): ((behind?: Behind) => void) | undefined {
  const { can } = useSession();
  const navigate = useNavigate();
  if (!can('read')) return undefined;
  return (behind = {}) => {
    void navigate({ to: '/conversations', search: conversationsSearch(search, behind) });
  };
}
