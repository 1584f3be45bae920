import { useMutation, useQueryClient } from '@tanstack/react-query';
import { postDeliveriesIdRetry, type WholeDelivery } from '../../api/generated';
import { Link } from '@tanstack/react-router';
import { toApiError } from '../../api/error';
import { queryKeys } from '../../api/keys';
import { ActionError } from '../../components/ActionError';
import { Button } from '../../components/Button';
import { useTexts } from '../../texts';
import layout from '../../components/layout.module.css';
import styles from './deliveries.module.css';

/** Why a delivery is in quarantine, and a button to retry it. */
export function Reason({ delivery }: { delivery: WholeDelivery }) {
  const { deliveries } = useTexts();
  const client = useQueryClient();
  const retry = useMutation({
    mutationFn: () => postDeliveriesIdRetry({ path: { id: delivery.id } }),
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.deliveries }),
  });
  const error = retry.isError ? toApiError(retry.error) : null;
  const stillUnreadable = error?.code === 'unreadable_delivery';
  return (
    <section className={styles.reason}>
      <h3>{deliveries.reason}</h3>
      <p dir="auto">{delivery.reason}</p>
      <p className={layout.muted}>{deliveries.reasonHelp}</p>
      <div className={styles.links}>
        <Button
          icon="retry"
          busy={retry.isPending}
          onClick={() => {
            retry.mutate();
          }}
        >
          {retry.isPending ? deliveries.retrying : deliveries.retry}
        </Button>
        {delivery.reason && (
          <Link to="/deliveries" search={{ outcome: ['quarantined'], reason: delivery.reason }}>
            {deliveries.sameReason}
          </Link>
        )}
      </div>
      {stillUnreadable && (
        <p role="alert">
          <strong>{deliveries.retryFailed}.</strong> {error.detail}
        </p>
      )}
      {error !== null && !stillUnreadable && <ActionError error={error} />}
    </section>
  );
}
