import { lazy, Suspense } from 'react';
import type { Metric, Summary } from '../../api/generated';
import { WhenNear } from '../../components/charts/WhenNear';
import styles from './overview.module.css';
import type { SqlScope } from './sql';

// Charts are loaded when the overview is open, and not with the first view of the page.
const SeriesSection = lazy(() => import('./SeriesSection'));
const HeatmapSection = lazy(() => import('./HeatmapSection'));
const DistributionSection = lazy(() => import('./DistributionSection'));
const TopSection = lazy(() => import('./TopSection'));
const FunnelSection = lazy(() => import('./FunnelSection'));
const SilentSection = lazy(() => import('./SilentSection'));
const QuietSection = lazy(() => import('./QuietSection'));

/** Heights that sections keep until they come near the window. */
const TOP_PX = 340;
const SILENT_PX = 300;
const QUIET_PX = 420;

interface Props {
  catalog: readonly Metric[];
  summary: Summary | undefined;
  scope: SqlScope | undefined;
}

/** All charts below the figures. */
export function Sections({ catalog, summary, scope }: Props) {
  return (
    <Suspense fallback={<div className={styles.loading} aria-busy="true" />}>
      <div id="over-time">
        <SeriesSection catalog={catalog} scope={scope} compared={summary?.compare} />
      </div>
      <div className={styles.pair}>
        <HeatmapSection catalog={catalog} scope={scope} />
        <DistributionSection catalog={catalog} scope={scope} />
      </div>
      <div className={styles.pair}>
        <WhenNear height={TOP_PX}>
          <TopSection catalog={catalog} scope={scope} />
        </WhenNear>
        <div className={styles.stack}>
          <FunnelSection summary={summary} scope={scope} />
          <WhenNear height={SILENT_PX}>
            <SilentSection scope={scope} />
          </WhenNear>
        </div>
      </div>
      <WhenNear height={QUIET_PX}>
        <QuietSection />
      </WhenNear>
    </Suspense>
  );
}
