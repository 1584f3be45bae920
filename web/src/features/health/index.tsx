import type { Health } from '../../api/setup';
import { useReady } from '../../api/ready';
import { useSetup } from '../../api/use-setup';
import { Requires } from '../../app/Requires';
import { Facts } from '../../components/Facts';
import { ErrorNotice, StaleNotice } from '../../components/Notice';
import { Page } from '../../components/Page';
import { Skeleton } from '../../components/Skeleton';
import { Time } from '../../components/Time';
import { useTexts } from '../../texts';
import { Alerts } from './Alerts';
import layout from '../../components/layout.module.css';
import { LatencyTable } from './Latency';
import { State } from './State';

export default function HealthView() {
  const { health } = useTexts();
  return (
    <Requires scope="admin">
      <Page title={health.title}>
        <div className={layout.columns}>
          <div>
            <Now />
            <Alerts />
          </div>
          <div>
            <Measured />
          </div>
        </div>
      </Page>
    </Requires>
  );
}

/** How the service is; `/readyz` answers while the database is away. */
function Now() {
  const { health } = useTexts();
  const ready = useReady();
  const setup = useSetup();
  return (
    <section className={layout.section}>
      <h2>{health.state}</h2>
      {ready.isPending && <Skeleton rows={6} />}
      {ready.isError && ready.data === undefined && (
        <ErrorNotice error={ready.error} onRetry={() => void ready.refetch()} level={3} />
      )}
      {ready.isError && ready.data !== undefined && (
        <StaleNotice since={ready.dataUpdatedAt} error={ready.error} />
      )}
      {ready.data !== undefined && <State ready={ready.data} health={setup.data?.health} />}
    </section>
  );
}

/** Latency and versions; they are not shown to a key that is bound to agents. */
function Measured() {
  const setup = useSetup();
  if (setup.isPending) return <Skeleton rows={4} />;
  if (setup.data === undefined) {
    return <ErrorNotice error={setup.error} onRetry={() => void setup.refetch()} level={3} />;
  }
  return (
    <>
      <LatencyTable latency={setup.data.health.latency} />
      <Versions health={setup.data.health} />
    </>
  );
}

function Versions({ health }: { health: Health }) {
  const texts = useTexts().health;
  const { versions, started_at } = health;
  return (
    <section className={layout.section}>
      <h2>{texts.versions}</h2>
      <Facts
        facts={[
          { name: texts.verbatim, value: versions.verbatim },
          { name: texts.postgresql, value: versions.postgresql ?? texts.notKnown },
          { name: texts.schemaVersion, value: versions.schema },
          { name: texts.startedAt, value: <Time value={started_at} shape="full" /> },
        ]}
      />
    </section>
  );
}
