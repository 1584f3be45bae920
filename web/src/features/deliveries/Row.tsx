import { Link } from '@tanstack/react-router';
import type { Delivery } from '../../api/generated';
import { Time } from '../../components/Time';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import styles from './deliveries.module.css';
import { OutcomeBadge } from './Outcome';

/** One delivery in the list: event, time, outcome, and its agent or the reason. */
export function Row({ delivery }: { delivery: Delivery }) {
  const { deliveries } = useTexts();
  const { localDate } = useFormat();
  const today = localDate(delivery.received_at) === localDate(new Date());
  return (
    <Link
      to="/deliveries/$id"
      params={{ id: delivery.id }}
      search={true}
      className={styles.row}
      activeProps={{ 'aria-current': 'true' }}
      preload={false}
    >
      <span className={styles.rowHead}>
        <span className={styles.event}>{delivery.event_type ?? deliveries.noEvent}</span>
        <Time value={delivery.received_at} shape={today ? 'clock' : 'short'} />
      </span>
      <span className={styles.rowDetail}>
        <OutcomeBadge outcome={delivery.outcome} />
        <bdi className={styles.about}>{delivery.reason ?? delivery.agent_id ?? ''}</bdi>
        <span className={styles.rowSource}>{delivery.source}</span>
      </span>
    </Link>
  );
}
