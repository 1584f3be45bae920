import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { toApiError } from '../../../api/error';
import { outageOf } from '../../../api/outage';
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
import { useEvery } from './use-every';
import { useStep } from './use-step';
import { VirtualList } from './VirtualList';

/** A conversation that is silent becomes idle, and ends, without an event. */
const MINUTE_MS = 60_000;

/** The conversations that the filters let through, latest activity first. */
export function SessionList({ search }: { search: ConversationSearch }) {
  const { conversations } = useTexts();
  const list = useSessions(search, true);
  const { id } = useParams({ strict: false });
  const selected = list.sessions.findIndex((session) => session.id === id);
  const [atTop, setAtTop] = useState(true);
  const go = useStep(list.sessions, selected, (session) => ({
    id: session.id,
    message: undefined,
  }));
  useEvery(MINUTE_MS, () => {
    if (atTop && document.visibilityState === 'visible') list.refreshSoon();
  });
  useLiveEvents((event) => {
    // Whoever looks at the top sees what is new; whoever has scrolled is not disturbed.
    if (event.type === 'session' && atTop) list.refreshSoon();
  });

  if (list.isPending) return <Skeleton rows={10} height={44} />;
  if (list.data === undefined) {
    return <ErrorNotice error={list.error} onRetry={() => void list.refetch()} />;
  }
  return (
    <>
      {list.error !== null && outageOf(toApiError(list.error)) === null && (
        <StaleNotice since={list.dataUpdatedAt} error={list.error} />
      )}
      {list.newer > 0 && !atTop && (
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
          render={(session) => <SessionRow session={session} current={session.id === id} />}
          hasMore={list.hasNextPage}
          loadingMore={list.isFetchingNextPage}
          onMore={() => void list.fetchNextPage()}
          endText={conversations.endOfList}
          selected={selected}
          onOpen={go}
          onTop={setAtTop}
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
