import { lazy, Suspense } from 'react';
import type { Metric, Summary } from '../../api/generated';
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
        <TopSection catalog={catalog} scope={scope} />
        <div className={styles.stack}>
          <FunnelSection summary={summary} scope={scope} />
          <SilentSection scope={scope} />
        </div>
      </div>
      <QuietSection />
    </Suspense>
  );
}
