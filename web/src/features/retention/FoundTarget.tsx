import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { toApiError } from '../../api/error';
import type { Receipt } from '../../api/generated';
import { queryKeys } from '../../api/keys';
import { useSession } from '../../app/session';
import { ActionError } from '../../components/ActionError';
import { Button } from '../../components/Button';
import { Facts } from '../../components/Facts';
import { ErrorNotice } from '../../components/Notice';
import { Skeleton } from '../../components/Skeleton';
import { Time } from '../../components/Time';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import { Ambiguous } from './Ambiguous';
import { EraseDialog } from './EraseDialog';
import { ReceiptView } from './ReceiptView';
import { findTarget, holdTarget, type Found } from './requests';
import layout from '../../components/layout.module.css';
import styles from './retention.module.css';
import type { Target } from './search';

interface Props {
  target: Target;
  onChoose: (target: Target) => void;
}

/** What the target is, with buttons to hold and to erase it; afterwards the receipt. */
export function FoundTarget({ target, onChoose }: Props) {
  const { retention } = useTexts();
  const { can } = useSession();
  const [receipt, setReceipt] = useState<Receipt | null>(null);
  const readable = can('read');
  const found = useQuery({
    queryKey: [...queryKeys.retention, 'target', target],
    queryFn: ({ signal }) => findTarget(target, signal),
    enabled: readable && receipt === null,
  });
  if (receipt !== null) return <ReceiptView receipt={receipt} />;
  if (!readable) {
    return (
      <>
        <p>{retention.notReadable}</p>
        <Actions target={target} onErased={setReceipt} />
      </>
    );
  }
  if (found.isPending) return <Skeleton rows={3} />;
  if (found.isError) {
    const error = toApiError(found.error);
    return error.code === 'ambiguous_session' ? (
      <Ambiguous error={error} onChoose={onChoose} />
    ) : (
      <ErrorNotice error={error} onRetry={() => void found.refetch()} level={3} />
    );
  }
  return (
    <div className={styles.found}>
      <h3>{retention.found}</h3>
      <FoundFacts found={found.data} />
      <Actions target={target} onErased={setReceipt} />
    </div>
  );
}

function FoundFacts({ found }: { found: Found }) {
  const { retention } = useTexts();
  const format = useFormat();
  const row = found.kind === 'agent' ? found.agent : found.session;
  const session = found.kind === 'session' ? found.session : null;
  return (
    <>
      <Facts
        facts={[
          { name: retention.ids.session, value: session && <bdi>{session.session_id}</bdi> },
          { name: retention.ids.agent, value: <bdi>{row.agent_id}</bdi> },
          {
            name: retention.conversations,
            value: found.kind === 'agent' ? format.count(found.agent.session_count) : null,
          },
          { name: retention.messages, value: format.count(row.message_count) },
          {
            name: retention.started,
            value: session && <Time value={session.started_at} shape="full" />,
          },
          {
            name: retention.lastActivity,
            value: <Time value={row.last_activity_at} shape="full" />,
          },
        ]}
      />
      {session !== null && (
        <Link to="/conversations/$id" params={{ id: session.id }}>
          {retention.openConversation}
        </Link>
      )}
    </>
  );
}

function Actions({ target, onErased }: { target: Target; onErased: (receipt: Receipt) => void }) {
  const { retention } = useTexts();
  const client = useQueryClient();
  const hold = useMutation({
    mutationFn: () => holdTarget(target),
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.holds }),
  });
  return (
    <>
      <div className={layout.actions}>
        <Button
          busy={hold.isPending}
          onClick={() => {
            hold.mutate();
          }}
        >
          {hold.isPending ? retention.holding : retention.hold}
        </Button>
        <EraseDialog target={target} onErased={onErased} />
      </div>
      <p role="status">{hold.isSuccess && retention.held}</p>
      {hold.isError && <ActionError error={hold.error} />}
    </>
  );
}
