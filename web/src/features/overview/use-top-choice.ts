import type { Metric } from '../../api/generated';
import { useSession } from '../../app/session';
import { mainStat } from './figures';
import { behindMetric, type Behind } from './links';
import type { MetricName } from './query';
import { TOPS, type TopBy } from './search';
import { useOpenConversations } from './use-open';
import { useOverview } from './use-overview';

/** Groups that are on view; the others are summed up. */
export const TOP_LIMIT = 10;

/** Returns what the address chooses among groups and metrics that go together. */
export function useTopChoice(catalog: readonly Metric[]) {
  const { can } = useSession();
  const { search, query, change } = useOverview();
  const open = useOpenConversations(search);
  const kinds = TOPS.filter((one) => one !== 'first_message' || can('read'));
  const by = kinds.find((one) => one === search.top) ?? 'agent';
  const metrics = catalog.filter((one) => goesWith(one, by));
  const metric = metrics.find((one) => one.name === search.rank) ?? metrics[0];
  if (metric === undefined) throw new Error('the catalogue has no metric for these groups');
  const request = {
    query,
    by,
    metric: metric.name as MetricName,
    stat: mainStat(metric),
    limit: TOP_LIMIT,
  };
  const openGroup = (name: string | null, label: string) => {
    const group = name === null ? null : behindGroup(by, name);
    if (open === undefined || group === null) return undefined;
    return {
      label,
      run: () => {
        open({ ...behindMetric(metric.name).behind, ...group });
      },
    };
  };
  return { by, kinds, metric, metrics, request, change, openGroup };
}

/** Rooms and first messages have the metrics that count at the session's start. */
function goesWith(metric: Metric, by: TopBy): boolean {
  if (by === 'room' || by === 'first_message') return metric.attribution === 'session_start';
  return metric.group_by.some((one) => one === by);
}

function behindGroup(by: TopBy, name: string): (Behind & { q?: string }) | null {
  if (by === 'agent') return { agent: [name] };
  if (by === 'room') return { room: name };
  return by === 'source' ? { source: name } : { q: name };
}
