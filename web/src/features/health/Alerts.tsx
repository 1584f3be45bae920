import { useQuery } from '@tanstack/react-query';
import { getAlerts, type Alert } from '../../api/generated';
import { queryKeys } from '../../api/keys';
import type { Tone } from '../../components/Badge';
import { ErrorNotice, StaleNotice } from '../../components/Notice';
import { Skeleton } from '../../components/Skeleton';
import { StatusList } from '../../components/StatusList';
import { useFormat, type Format } from '../../format/use-format';
import { useNow } from '../../format/use-now';
import { useTexts, type Texts } from '../../texts';
import { AlertHistory } from './AlertHistory';
import layout from '../../components/layout.module.css';

const REFRESH_MS = 15_000;
const TONES: Record<string, Tone> = { ok: 'success', pending: 'warning', firing: 'danger' };
const ORDER = ['firing', 'pending', 'unknown', 'ok'];

/** The alerts of the settings, those that fire first, and their notifications. */
export function Alerts() {
  const { health } = useTexts();
  const query = useQuery({
    queryKey: queryKeys.alerts,
    queryFn: async ({ signal }) => (await getAlerts({ signal })).data.data,
    refetchInterval: REFRESH_MS,
  });
  return (
    <section className={layout.section}>
      <h2>{health.alerts}</h2>
      {query.isPending && <Skeleton rows={3} />}
      {query.isError && query.data === undefined && (
        <ErrorNotice error={query.error} onRetry={() => void query.refetch()} level={3} />
      )}
      {query.isError && query.data !== undefined && (
        <StaleNotice since={query.dataUpdatedAt} error={query.error} />
      )}
      {query.data !== undefined && <AlertList alerts={query.data} />}
    </section>
  );
}

function AlertList({ alerts }: { alerts: readonly Alert[] }) {
  const { health } = useTexts();
  const format = useFormat();
  const now = useNow(REFRESH_MS);
  const states: Record<string, string> = health.alertStates;
  if (alerts.length === 0) {
    return (
      <>
        <p>{health.noAlerts}</p>
        <p className={layout.muted}>{health.noAlertsHelp}</p>
      </>
    );
  }
  const sorted = alerts.toSorted((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
  const items = sorted.map((alert) => ({
    key: alert.name,
    tone: TONES[alert.state] ?? 'neutral',
    status: states[alert.state] ?? alert.state,
    text: (
      <>
        <strong>{alert.name}</strong> · {states[alert.state] ?? alert.state}
        {alert.since && (
          <> {health.alertSince(format.duration((now - Date.parse(alert.since)) / 1000))}</>
        )}
      </>
    ),
    help: alertDetail(alert, health, format),
  }));
  return (
    <>
      <StatusList items={items} />
      <AlertHistory />
    </>
  );
}

function alertDetail(alert: Alert, texts: Texts['health'], format: Format): string {
  if (alert.not_evaluated) return texts.notEvaluated(alert.not_evaluated);
  const amount = (value: number | null | undefined) =>
    value === null || value === undefined ? '–' : formatUnit(value, alert.unit, format);
  const comparison = alert.comparison === 'below' ? texts.below : texts.above;
  const parts = [
    [alert.metric, alert.stat].filter(Boolean).join(' '),
    texts.alertValue(amount(alert.value), comparison, amount(alert.threshold)),
  ];
  if (alert.normal !== null && alert.normal !== undefined) {
    parts.push(texts.alertNormal(amount(alert.normal)));
  }
  if (alert.window_seconds) parts.push(texts.alertWindow(format.duration(alert.window_seconds)));
  if (alert.agent_ids) parts.push(texts.alertAgents(alert.agent_ids.join(', ')));
  return parts.join(' · ');
}

function formatUnit(value: number, unit: Alert['unit'], format: Format): string {
  if (unit === 'seconds') return format.duration(value);
  return unit === 'ratio' ? format.percent(value) : format.decimal(value);
}
