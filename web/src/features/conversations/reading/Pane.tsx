import { Link, useParams, useSearch } from '@tanstack/react-router';
import { toApiError, type ApiError } from '../../../api/error';
import { useTitle } from '../../../app/use-title';
import { ErrorNotice, Notice } from '../../../components/Notice';
import { Skeleton } from '../../../components/Skeleton';
import { useTexts } from '../../../texts';
import { parseMessageSearch } from '../search';
import { Conversation } from './Conversation';
import { useConversation } from './use-conversation';

/** One conversation: its facts, then what was said. */
export function ConversationPane() {
  const { id } = useParams({ from: '/shell/conversations/$id' });
  const { message } = parseMessageSearch(useSearch({ strict: false }));
  return <Loaded key={id} id={id} message={message} />;
}

function Loaded({ id, message }: { id: string; message: string | undefined }) {
  const { conversations } = useTexts();
  const { session, visits, erased } = useConversation(id);
  useTitle(session.data?.agent_id ?? '…', conversations.title);

  if (erased) {
    return (
      <Notice heading={conversations.reading.erased} text={conversations.reading.erasedHelp} />
    );
  }
  const gone = session.error !== null && toApiError(session.error).code === 'not_found';
  if (session.data !== undefined && !gone) {
    return <Conversation session={session.data} visits={visits.data ?? []} message={message} />;
  }
  if (session.isPending) return <Skeleton rows={8} height={36} />;
  return (
    <>
      <ErrorNotice error={session.error} onRetry={() => void session.refetch()} />
      <Choices error={toApiError(session.error)} />
    </>
  );
}

/** The sessions that share an ID of the sender, where the address has that. */
function Choices({ error }: { error: ApiError }) {
  if (error.problem.sessions === undefined) return null;
  return (
    <ul>
      {error.problem.sessions.map((session) => (
        <li key={session.id}>
          <Link to="/conversations/$id" params={{ id: session.id }}>
            <bdi>{session.agent_id}</bdi> ({session.source})
          </Link>
        </li>
      ))}
    </ul>
  );
}
