import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useParams, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { toApiError } from '../../../api/error';
import { queryKeys } from '../../../api/keys';
import { ErrorNotice, Notice } from '../../../components/Notice';
import { Skeleton } from '../../../components/Skeleton';
import { useLiveEvents } from '../../../live/use-live';
import { useTexts } from '../../../texts';
import { fetchConversation, fetchVisits } from '../api';
import { parseMessageSearch } from '../search';
import { Conversation } from './Conversation';

/** One conversation: its facts, then what was said. */
export function ConversationPane() {
  const { id } = useParams({ from: '/shell/conversations/$id' });
  const { message } = parseMessageSearch(useSearch({ strict: false }));
  return <Loaded key={id} id={id} message={message} />;
}

function Loaded({ id, message }: { id: string; message: string | undefined }) {
  const { conversations } = useTexts();
  const client = useQueryClient();
  const [erased, setErased] = useState(false);
  const session = useQuery({
    queryKey: [...queryKeys.conversation(id), 'facts'],
    queryFn: ({ signal }) => fetchConversation(id, signal),
  });
  const visits = useQuery({
    queryKey: [...queryKeys.conversation(id), 'visits'],
    queryFn: ({ signal }) => fetchVisits(id, signal),
  });
  useLiveEvents((event) => {
    if (event.type === 'session' && event.session.id === id) {
      void client.invalidateQueries({ queryKey: [...queryKeys.conversation(id), 'facts'] });
      void client.invalidateQueries({ queryKey: [...queryKeys.conversation(id), 'visits'] });
    }
    if (event.type === 'erasure') {
      const { erasure } = event;
      const whole = erasure.session == null && erasure.agent_id === session.data?.agent_id;
      if (whole || (erasure.session?.id === id && erasure.before == null)) setErased(true);
    }
  });

  if (erased) {
    return (
      <Notice heading={conversations.reading.erased} text={conversations.reading.erasedHelp} />
    );
  }
  if (session.data === undefined) {
    return session.isPending ? (
      <Skeleton rows={8} height={36} />
    ) : (
      <ErrorNotice error={session.error} onRetry={() => void session.refetch()} />
    );
  }
  if (session.error !== null && toApiError(session.error).code === 'not_found') {
    return <ErrorNotice error={session.error} />;
  }
  return <Conversation session={session.data} visits={visits.data ?? []} message={message} />;
}
