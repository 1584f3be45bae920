import { useSyncExternalStore } from 'react';
import { outages } from '../api/outage';
import { useFormat } from '../format/use-format';
import { useLiveStatus } from '../live/use-live';
import { useTexts } from '../texts';
import styles from './Shell.module.css';

/** Says what does not answer, since when, and what still works; gone as soon as it is over. */
export function OutageBanner() {
  const { states } = useTexts();
  const format = useFormat();
  const outage = useSyncExternalStore(outages.subscribe, outages.get);
  const retrying = useLiveStatus() === 'retrying';
  return (
    <div role="status">
      {outage !== null && (
        <p className={styles.outage}>
          <strong>{outage.kind === 'database' ? states.databaseAway : states.offline}</strong>.
          {states.stale(format.clockTime(outage.since))}.{' '}
          {outage.kind === 'database' ? states.databaseAwayHelp : states.offlineHelp}
        </p>
      )}
      {outage === null && retrying && <p className={styles.outage}>{states.reconnecting}</p>}
    </div>
  );
}
