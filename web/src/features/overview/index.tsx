import { lazy, Suspense, useState } from 'react';
import { Link } from '@tanstack/react-router';
import { Requires } from '../../app/Requires';
import { useSession } from '../../app/session';
import { Announcer } from '../../components/charts/announcer';
import { Button } from '../../components/Button';
import { ErrorNotice, Notice } from '../../components/Notice';
import { Page } from '../../components/Page';
import { useTexts } from '../../texts';
import { useCatalog, useSummary } from './api';
import { FigureDialog } from './FigureDialog';
import { Figures } from './Figures';
import { Freshness } from './Freshness';
import { Filters } from './Filters';
import { findFigure } from './figures';
import styles from './overview.module.css';
import { scopeOf } from './scope';
import { Sections } from './Sections';
import { useOpenConversations } from './use-open';
import { useOverview, useZoneInAddress } from './use-overview';

const WallLinkDialog = lazy(() =>
  import('./WallLinkDialog').then((module) => ({ default: module.WallLinkDialog })),
);

/** The figures of the catalogue: what is going on, without any text. */
export default function OverviewView() {
  return (
    <Requires scope="analytics">
      <Overview />
    </Requires>
  );
}

function Overview() {
  const { overview } = useTexts();
  const { search } = useOverview();
  const { can } = useSession();
  const [making, setMaking] = useState(false);
  useZoneInAddress();
  return (
    <Page
      title={overview.title}
      actions={
        can('admin') && (
          <Button
            kind="quiet"
            icon="link"
            onClick={() => {
              setMaking(true);
            }}
          >
            {overview.wallLink.open}
          </Button>
        )
      }
    >
      <Filters />
      <Content />
      <Announcer />
      {making && (
        <Suspense>
          <WallLinkDialog
            open
            agents={search.agent}
            onClose={() => {
              setMaking(false);
            }}
          />
        </Suspense>
      )}
    </Page>
  );
}

function Content() {
  const { search, query, change } = useOverview();
  const open = useOpenConversations(search);
  const comparison = search.compare ?? 'previous';
  const compared = comparison !== 'none';
  const catalog = useCatalog();
  const summary = useSummary(query, comparison);
  if (catalog.data === undefined) {
    if (catalog.error === null) return <div className={styles.loading} aria-busy="true" />;
    return <ErrorNotice error={catalog.error} onRetry={() => void catalog.refetch()} />;
  }
  if (summary.data === undefined && summary.error !== null) {
    return <ErrorNotice error={summary.error} onRetry={() => void summary.refetch()} />;
  }
  const { data } = summary;
  const empty = data !== undefined && isEmpty(data.data);
  const scope = data && scopeOf(data, search);
  if (empty) return <Empty />;
  return (
    <>
      {data === undefined ? (
        <p className={styles.fresh} />
      ) : (
        <Freshness
          summary={data}
          checkedAt={summary.dataUpdatedAt}
          failed={summary.error !== null}
        />
      )}
      <Figures
        catalog={catalog.data}
        summary={data}
        query={query}
        compared={compared}
        onOpen={(figure) => {
          change({ figure });
        }}
      />
      <Sections catalog={catalog.data} summary={data} scope={scope} />
      <FigureDialog
        metric={catalog.data.find((metric) => metric.name === search.figure)}
        data={data?.data ?? []}
        compared={compared}
        scope={scope}
        onClose={() => {
          change({ figure: undefined });
        }}
        onOverTime={(metric) => {
          change({ figure: undefined, metric, stat: undefined });
          document.getElementById('over-time')?.scrollIntoView();
        }}
        onConversations={open}
      />
    </>
  );
}

function isEmpty(data: Parameters<typeof findFigure>[0]): boolean {
  return ['sessions', 'messages'].every(
    (metric) => (findFigure(data, metric, 'count')?.value ?? 0) === 0,
  );
}

/** Nothing in the range: what to do next depends on whether there is anything at all, and on the key. */
function Empty() {
  const { overview } = useTexts();
  const { can } = useSession();
  const { search, zone, change } = useOverview();
  const ever = useSummary({ period: 'last_90d', tz: zone }, 'none');
  const first = ever.data !== undefined && isEmpty(ever.data.data);
  return (
    <Notice heading={overview.emptyTitle} text={first ? overview.emptyFirst : overview.emptyText}>
      {first && can('admin') && <Link to="/setup">{overview.emptySetup}</Link>}
      {first && !can('admin') && <p>{overview.emptyAskAdmin}</p>}
      {!first && search.period !== 'last_90d' && (
        <Button
          onClick={() => {
            change({ period: 'last_90d', from: undefined, to: undefined });
          }}
        >
          {overview.longer}
        </Button>
      )}
    </Notice>
  );
}
