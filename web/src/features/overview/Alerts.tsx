import { StatusDot, type Tone } from '../../components/Badge';
import { Time } from '../../components/Time';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import type { Alert } from '../../api/generated';
import { useAlerts } from './api';
import { formatValue } from './figures';
import layout from '../../components/layout.module.css';
import styles from './overview.module.css';

type AlertState = 'ok' | 'pending' | 'firing' | 'unknown';
const TONES: Record<AlertState, Tone> = {
  ok: 'success',
  pending: 'warning',
  firing: 'danger',
  unknown: 'neutral',
};
const ORDER: AlertState[] = ['firing', 'pending', 'unknown', 'ok'];

/** The alerts of the settings, those that fire first. */
export function Alerts() {
  const { overview } = useTexts();
  const { data } = useAlerts();
  if (data === undefined) return null;
  const sorted = [...data].sort((a, b) => ORDER.indexOf(stateOf(a)) - ORDER.indexOf(stateOf(b)));
  return (
    <section className={styles.alerts} aria-label={overview.quiet.alerts}>
      <h3>{overview.quiet.alerts}</h3>
      {sorted.length === 0 && <p className={layout.note}>{overview.quiet.noAlerts}</p>}
      <ul>
        {sorted.map((alert) => (
          <AlertRow key={alert.name} alert={alert} />
        ))}
      </ul>
    </section>
  );
}

function AlertRow({ alert }: { alert: Alert }) {
  const { overview } = useTexts();
  const format = useFormat();
  const state = stateOf(alert);
  const described = { unit: alert.unit, stat: alert.stat ?? 'count' } as const;
  const latest = alert.history[0];
  return (
    <li>
      <span className={styles.alertName}>{alert.name}</span>
      <StatusDot tone={TONES[state]} label={overview.quiet.alertStates[state]} />
      <span className={layout.note}>
        {alert.not_evaluated ??
          (alert.value != null && alert.threshold != null
            ? overview.quiet.alertValue(
                formatValue(alert.value, described, format),
                formatValue(alert.threshold, described, format),
              )
            : '')}
        {alert.since != null && (
          <>
            {' · '}
            <Time value={alert.since} shape="relative" />
          </>
        )}
      </span>
      {state === 'firing' && latest !== undefined && (
        <span className={styles.alertText}>{latest.summary}</span>
      )}
    </li>
  );
}

function stateOf(alert: Alert): AlertState {
  return ORDER.find((state) => state === alert.state) ?? 'unknown';
}
