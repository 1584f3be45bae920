import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { queryKeys } from '../../../api/keys';
import { ErrorNotice, Notice } from '../../../components/Notice';
import { Skeleton } from '../../../components/Skeleton';
import { useTexts } from '../../../texts';
import { fetchMatches } from '../api';
import { useClock } from '../clock';
import { matchesQuery, type ConversationSearch } from '../search';
import styles from './List.module.css';
import { MatchRow } from './MatchRow';
import { useStep } from './use-step';
import { VirtualList } from './VirtualList';

/** The messages that a text is found in, best first. */
export function MatchList({ search }: { search: ConversationSearch }) {
  const { conversations } = useTexts();
  const query = matchesQuery(search, useClock());
  const list = useInfiniteQuery({
    queryKey: queryKeys.search(query),
    queryFn: ({ pageParam, signal }) => fetchMatches(query, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => (page.has_more ? page.next_cursor : null),
    placeholderData: keepPreviousData,
  });
  const matches = useMemo(() => list.data?.pages.flatMap((page) => page.data) ?? [], [list.data]);
  const { message } = useSearch({ strict: false });
  const first = list.data?.pages[0];
  const selected = matches.findIndex((match) => match.message.id === message);
  const go = useStep(matches, selected, (match) => ({
    id: match.session.id,
    message: match.message.id,
  }));

  if (list.isPending) return <Skeleton rows={6} height={56} />;
  if (first === undefined) {
    return <ErrorNotice error={list.error} onRetry={() => void list.refetch()} />;
  }
  if (matches.length === 0) {
    return <Notice heading={conversations.noHits} text={conversations.noHitsHelp} />;
  }
  return (
    <>
      {first.query.parts_of_words && <p className={styles.note}>{conversations.partsOfWords}</p>}
      {!first.complete && <p className={styles.note}>{conversations.incomplete}</p>}
      <VirtualList
        label={conversations.searchedAs(first.query.read_as)}
        items={matches}
        keyOf={(match) => match.message.id}
        render={(match) => <MatchRow match={match} current={match.message.id === message} />}
        hasMore={list.hasNextPage}
        loadingMore={list.isFetchingNextPage}
        onMore={() => void list.fetchNextPage()}
        endText={conversations.endOfHits}
        selected={selected}
        onOpen={go}
      />
    </>
  );
}
