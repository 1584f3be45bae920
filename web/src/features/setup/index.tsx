import { getRouteApi } from '@tanstack/react-router';
import { useSetup } from '../../api/use-setup';
import type { Setup } from '../../api/setup';
import { Requires } from '../../app/Requires';
import { ErrorNotice, StaleNotice } from '../../components/Notice';
import { Page } from '../../components/Page';
import { Skeleton } from '../../components/Skeleton';
import { Tabs } from '../../components/Tabs';
import { useTexts } from '../../texts';
import { Checks } from './Checks';
import { Connect } from './Connect';
import { Refusals } from './Refusals';
import layout from '../../components/layout.module.css';
import styles from './setup.module.css';
import { Signing } from './Signing';
import { TestDelivery } from './TestDelivery';

const route = getRouteApi('/shell/setup');

export default function SetupView() {
  const { setup } = useTexts();
  return (
    <Requires scope="admin">
      <Page title={setup.title}>
        <Content />
      </Page>
    </Requires>
  );
}

function Content() {
  const query = useSetup();
  if (query.isPending) return <Skeleton rows={8} />;
  if (query.data === undefined) {
    return <ErrorNotice error={query.error} onRetry={() => void query.refetch()} />;
  }
  return (
    <>
      {query.isError && <StaleNotice since={query.dataUpdatedAt} error={query.error} />}
      <Sources setup={query.data} />
    </>
  );
}

function Sources({ setup }: { setup: Setup }) {
  const texts = useTexts().setup;
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const first = setup.sources[0];
  const source = setup.sources.find(({ name }) => name === search.source) ?? first;
  if (source === undefined || first === undefined) return null;
  const view = <SourceView key={source.name} name={source.name} setup={setup} />;
  if (setup.sources.length === 1) return view;
  return (
    <div>
      <Tabs
        label={texts.sources}
        value={source.name}
        tabs={setup.sources.map(({ name }) => ({ value: name, label: name }))}
        onChange={(name) =>
          void navigate({ search: name === first.name ? {} : { source: name }, replace: true })
        }
      >
        <div className={styles.panel}>{view}</div>
      </Tabs>
    </div>
  );
}

function SourceView({ name, setup }: { name: string; setup: Setup }) {
  const texts = useTexts().setup;
  const source = setup.sources.find((one) => one.name === name);
  if (source === undefined) return null;
  return (
    <div className={layout.columns}>
      <div>
        <section className={layout.section}>
          <h2>{texts.state}</h2>
          <Checks source={source} setup={setup} />
        </section>
        <Refusals refusals={source.refusals} />
        <TestDelivery source={source.name} />
      </div>
      <div>
        <Connect source={source} />
        <Signing source={source} />
      </div>
    </div>
  );
}
