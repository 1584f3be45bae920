import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useRef } from 'react';
import { useCommand } from '../../../app/commands';
import { useSession } from '../../../app/session';
import { Button } from '../../../components/Button';
import { ErrorNotice, Notice, StaleNotice } from '../../../components/Notice';
import { Skeleton } from '../../../components/Skeleton';
import { useLiveEvents } from '../../../live/use-live';
import { useTexts } from '../../../texts';
import type { ConversationSearch } from '../search';
import styles from './List.module.css';
import { SessionRow } from './SessionRow';
import { useSessions } from './use-sessions';
import { VirtualList } from './VirtualList';

/** The conversations that the filters let through, latest activity first. */
export function SessionList({ search }: { search: ConversationSearch }) {
  const { conversations } = useTexts();
  const list = useSessions(search, true);
  const { id } = useParams({ strict: false });
  const selected = list.sessions.findIndex((session) => session.id === id);
  const atTop = useRef(true);
  useStep(
    list.sessions.map((session) => session.id),
    selected,
  );
  useLiveEvents((event) => {
    // Whoever looks at the top sees what is new; whoever has scrolled is not disturbed.
    if (event.type === 'session' && atTop.current) list.refreshSoon();
  });

  if (list.isPending) return <Skeleton rows={10} height={44} />;
  if (list.data === undefined) {
    return <ErrorNotice error={list.error} onRetry={() => void list.refetch()} />;
  }
  return (
    <>
      {list.error !== null && !list.isFetching && (
        <StaleNotice since={list.dataUpdatedAt} error={list.error} />
      )}
      {list.newer > 0 && (
        <button type="button" className={styles.newer} onClick={() => void list.refresh()}>
          {conversations.newer(list.newer)}
        </button>
      )}
      {list.sessions.length === 0 ? (
        <Empty filtered={Object.keys(search).length > 0} />
      ) : (
        <VirtualList
          label={conversations.listLabel}
          items={list.sessions}
          keyOf={(session) => session.id}
          render={(session) => <SessionRow session={session} />}
          hasMore={list.hasNextPage}
          loadingMore={list.isFetchingNextPage}
          onMore={() => void list.fetchNextPage()}
          endText={conversations.endOfList}
          selected={selected}
          onTop={(top) => (atTop.current = top)}
        />
      )}
    </>
  );
}

function Empty({ filtered }: { filtered: boolean }) {
  const { conversations } = useTexts();
  const { can } = useSession();
  const navigate = useNavigate();
  if (filtered) {
    return (
      <Notice heading={conversations.noneMatch} text={conversations.noneMatchHelp}>
        <Button onClick={() => void navigate({ to: '/conversations', search: {} })}>
          {conversations.clearFilters}
        </Button>
      </Notice>
    );
  }
  return (
    <Notice heading={conversations.empty} text={conversations.emptyHelp}>
      {can('admin') && <Link to="/setup">{conversations.emptyNext}</Link>}
    </Notice>
  );
}

/** Goes to the next and the previous conversation by `j` and `k`. */
function useStep(ids: readonly string[], selected: number): void {
  const navigate = useNavigate();
  const step = (by: number) => {
    const id = ids[Math.max(0, Math.min(ids.length - 1, selected + by))];
    if (id === undefined) return;
    void navigate({
      to: '/conversations/$id',
      params: { id },
      search: (previous) => ({ ...previous, message: undefined }),
    });
  };
  useCommand('next', () => {
    step(1);
  });
  useCommand('previous', () => {
    step(-1);
  });
}
