import { Outlet, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useEffect } from 'react';
import { useCommand } from '../../app/commands';
import { Requires } from '../../app/Requires';
import { useTitle } from '../../app/use-title';
import { Notice } from '../../components/Notice';
import { useTexts } from '../../texts';
import styles from './Conversations.module.css';
import { FilterBar } from './filters/FilterBar';
import { SortSelect } from './filters/SortSelect';
import { MatchList } from './list/MatchList';
import { SessionList } from './list/SessionList';
import { parseConversationSearch } from './search';

const PRELOAD_AFTER_MS = 2_000;

/** The list and the reading pane: side by side from 1,000 px, one at a time below. */
export default function ConversationsView() {
  return (
    <Requires scope="read">
      <Conversations />
    </Requires>
  );
}

function Conversations() {
  const { conversations } = useTexts();
  const search = parseConversationSearch(useSearch({ strict: false }));
  const { id } = useParams({ strict: false });
  useTitle(conversations.title);
  const navigate = useNavigate();
  useCommand('back', () => {
    if (id !== undefined) void navigate({ to: '/conversations', search });
  });
  useReadingPreload();
  return (
    <div className={styles.split} data-reading={id !== undefined}>
      {/* On a phone the list is away while one reads; the heading of the view stays. */}
      <h1 className="visually-hidden">{conversations.title}</h1>
      <section className={styles.list} aria-label={conversations.listLabel}>
        <header className={styles.title}>
          <p aria-hidden="true">{conversations.title}</p>
          {search.q === undefined && <SortSelect value={search.sort} />}
        </header>
        <FilterBar search={search} />
        {search.q === undefined ? <SessionList search={search} /> : <MatchList search={search} />}
      </section>
      <section className={styles.pane} aria-label={conversations.reading.label}>
        {id === undefined ? (
          <Notice heading={conversations.choose} text={conversations.chooseHelp} />
        ) : (
          <Outlet />
        )}
      </section>
    </div>
  );
}

/** Loads what reading needs once the list has been drawn. */
function useReadingPreload(): void {
  useEffect(() => {
    const timer = setTimeout(() => void import('./reading'), PRELOAD_AFTER_MS);
    return () => {
      clearTimeout(timer);
    };
  }, []);
}
