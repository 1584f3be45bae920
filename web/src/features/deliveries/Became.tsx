import { Link } from '@tanstack/react-router';
import type { WholeDelivery } from '../../api/generated';
import { useTexts } from '../../texts';
import layout from '../../components/layout.module.css';
import styles from './deliveries.module.css';

/** A delivery with what it became. */
export interface DeliveryWithLinks extends WholeDelivery {
  /** Our ID of the conversation; null where that is gone. */
  session?: string | null;
  /** The message that it became or repeats; null where it is none, or is gone. */
  message_id?: string | null;
}

/** Links to what the delivery became. */
export function BecameLinks({ delivery }: { delivery: DeliveryWithLinks }) {
  const { deliveries } = useTexts();
  return (
    <section className={layout.section}>
      <h3>{deliveries.became}</h3>
      {belongsToConversation(delivery) ? (
        <Links delivery={delivery} />
      ) : (
        <p className={layout.muted}>{deliveries.inNoConversation}</p>
      )}
    </section>
  );
}

/** May the delivery have become part of a conversation? */
function belongsToConversation({ outcome, session_id }: WholeDelivery): boolean {
  return (outcome === 'stored' || outcome === 'duplicate') && typeof session_id === 'string';
}

function Links({ delivery }: { delivery: DeliveryWithLinks }) {
  const { deliveries } = useTexts();
  const { session, message_id: message, event_type } = delivery;
  if (session == null) return <p className={layout.muted}>{deliveries.noConversation}</p>;
  const missing = event_type === 'chat.push' ? deliveries.noMessage : deliveries.eventOnly;
  return (
    <>
      <p className={styles.links}>
        {message != null && (
          <Link to="/conversations/$id" params={{ id: session }} search={{ message }}>
            {deliveries.openMessage}
          </Link>
        )}
        <Link to="/conversations/$id" params={{ id: session }}>
          {deliveries.openConversation}
        </Link>
      </p>
      {message == null && <p className={layout.muted}>{missing}</p>}
    </>
  );
}
