import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { getDeliveriesId, type WholeDelivery } from '../../api/generated';
import { queryKeys } from '../../api/keys';
import { CopyButton } from '../../components/CopyButton';
import { Facts } from '../../components/Facts';
import { Icon } from '../../components/Icon';
import { ErrorNotice, StaleNotice } from '../../components/Notice';
import { Skeleton } from '../../components/Skeleton';
import { Time } from '../../components/Time';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import { BecameLinks } from './Became';
import { Body } from './Body';
import layout from '../../components/layout.module.css';
import styles from './deliveries.module.css';
import { OutcomeBadge } from './Outcome';
import { Reason } from './Reason';
import { knownOutcome } from './tones';

const route = getRouteApi('/shell/deliveries/$id');

/** One delivery, beside the list. */
export function DeliveryPane() {
  const { id } = route.useParams();
  const { deliveries } = useTexts();
  const query = useQuery({
    queryKey: queryKeys.delivery(id),
    queryFn: async ({ signal }) => (await getDeliveriesId({ path: { id }, signal })).data,
  });
  return (
    <div className={styles.detail}>
      <Link to="/deliveries" search={true} className={styles.back}>
        <Icon name="back" />
        {deliveries.back}
      </Link>
      {query.isPending && <Skeleton rows={8} />}
      {query.isError && query.data === undefined && (
        <ErrorNotice error={query.error} onRetry={() => void query.refetch()} />
      )}
      {query.data !== undefined && (
        <>
          {query.isError && <StaleNotice since={query.dataUpdatedAt} error={query.error} />}
          <Detail key={query.data.id} delivery={query.data} />
        </>
      )}
    </div>
  );
}

function Detail({ delivery }: { delivery: WholeDelivery }) {
  const { deliveries } = useTexts();
  const outcome = knownOutcome(delivery.outcome);
  return (
    <>
      <header className={styles.detailHead}>
        <h2>{delivery.event_type ?? deliveries.noEvent}</h2>
        <OutcomeBadge outcome={delivery.outcome} />
      </header>
      {outcome !== undefined && <p className={layout.muted}>{deliveries.outcomeHelp[outcome]}</p>}
      {delivery.outcome === 'quarantined' && <Reason delivery={delivery} />}
      <BecameLinks delivery={delivery} />
      <DeliveryFacts delivery={delivery} />
      <Body delivery={delivery} />
    </>
  );
}

function DeliveryFacts({ delivery }: { delivery: WholeDelivery }) {
  const { deliveries } = useTexts();
  const format = useFormat();
  return (
    <Facts
      facts={[
        { name: deliveries.receivedAt, value: <Time value={delivery.received_at} shape="full" /> },
        { name: deliveries.source, value: delivery.source },
        { name: deliveries.agentId, value: delivery.agent_id && <bdi>{delivery.agent_id}</bdi> },
        {
          name: deliveries.sessionId,
          value: delivery.session_id && <bdi>{delivery.session_id}</bdi>,
        },
        { name: deliveries.credentials, value: <Credentials delivery={delivery} /> },
        { name: deliveries.generation, value: generationName(delivery, deliveries) },
        { name: deliveries.size, value: format.bytes(delivery.size_bytes) },
        { name: deliveries.senderId, value: delivery.sender_delivery_id },
        {
          name: deliveries.deliveryId,
          value: (
            <>
              {delivery.id} <CopyButton text={delivery.id} iconOnly />
            </>
          ),
        },
      ]}
    />
  );
}

function Credentials({ delivery }: { delivery: WholeDelivery }) {
  const { deliveries } = useTexts();
  return (
    <>
      {delivery.signed ? deliveries.signed : deliveries.unsigned}
      {delivery.stale && <> · {deliveries.stale}</>}
    </>
  );
}

function generationName(
  { generation }: WholeDelivery,
  texts: ReturnType<typeof useTexts>['deliveries'],
): string | null {
  if (generation === null || generation === undefined) return null;
  return generation === 'account' ? texts.account : texts.generationName(generation);
}
