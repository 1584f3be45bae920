import { Link } from '@tanstack/react-router';
import type { WholeDelivery } from '../../api/generated';
import { Skeleton } from '../../components/Skeleton';
import { ErrorNotice } from '../../components/Notice';
import { useTexts } from '../../texts';
import styles from './deliveries.module.css';
import { belongsToConversation, messageIn } from './message';
import { useBecame } from './use-became';

/** Links to what the delivery became. */
export function BecameLinks({ delivery }: { delivery: WholeDelivery }) {
  const { deliveries } = useTexts();
  return (
    <section className={styles.section}>
      <h3>{deliveries.became}</h3>
      {belongsToConversation(delivery) ? (
        <Links delivery={delivery} />
      ) : (
        <p className={styles.muted}>{deliveries.inNoConversation}</p>
      )}
    </section>
  );
}

function Links({ delivery }: { delivery: WholeDelivery }) {
  const { deliveries } = useTexts();
  const became = useBecame(delivery);
  if (became.isPending) return <Skeleton rows={1} height={16} />;
  if (became.isError) {
    return <ErrorNotice error={became.error} onRetry={() => void became.refetch()} level={3} />;
  }
  const { conversation, message } = became.data;
  const hasMessage = messageIn(delivery.body) !== null;
  if (conversation === null) return <p className={styles.muted}>{deliveries.noMessage}</p>;
  return (
    <>
      <p className={styles.links}>
        {message !== null && (
          <Link to="/conversations/$id" params={{ id: conversation }} search={{ message }}>
            {deliveries.openMessage}
          </Link>
        )}
        <Link to="/conversations/$id" params={{ id: conversation }}>
          {deliveries.openConversation}
        </Link>
      </p>
      {message === null && (
        <p className={styles.muted}>{hasMessage ? deliveries.noMessage : deliveries.eventOnly}</p>
      )}
    </>
  );
}
