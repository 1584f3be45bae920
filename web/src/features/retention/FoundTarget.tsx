import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { toApiError } from '../../api/error';
import type { Receipt } from '../../api/generated';
import { queryKeys } from '../../api/keys';
import { useSession } from '../../app/session';
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
  if (found.kind === 'agent') {
    const { agent_id, session_count, message_count, last_activity_at } = found.agent;
    return (
      <Facts
        facts={[
          { name: retention.ids.agent, value: <bdi>{agent_id}</bdi> },
          {
            name: retention.rows,
            value: retention.foundAgent(format.count(session_count), format.count(message_count)),
          },
          { name: retention.lastActivity, value: <Time value={last_activity_at} shape="full" /> },
        ]}
      />
    );
  }
  const { id, session_id, agent_id, message_count, started_at } = found.session;
  return (
    <Facts
      facts={[
        { name: retention.ids.session, value: <bdi>{session_id}</bdi> },
        {
          name: retention.what,
          value: retention.foundSession(agent_id, format.count(message_count)),
        },
        { name: retention.started, value: <Time value={started_at} shape="full" /> },
        {
          name: retention.conversations,
          value: (
            <Link to="/conversations/$id" params={{ id }}>
              {retention.openConversation}
            </Link>
          ),
        },
      ]}
    />
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
      <div className={styles.actions}>
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
      {hold.isError && <ErrorNotice error={hold.error} level={3} />}
    </>
  );
}
