import { useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback, useEffect, useMemo, useRef } from 'react';
import { useSettings } from '../../app/settings';
import { isZone } from '../../format/time';
import { useTexts } from '../../texts';
import type { Metric } from '../../api/generated';
import { analyticsQuery } from './query';
import { parseOverviewSearch, type OverviewSearch } from './search';

type Changed = { [K in keyof OverviewSearch]?: OverviewSearch[K] | undefined };

/** Returns what the address chooses, the parameters of requests, and how to choose otherwise. */
export function useOverview() {
  const raw: Record<string, unknown> = useSearch({ strict: false });
  const search = useMemo(() => parseOverviewSearch(raw), [raw]);
  const { zone } = useSettings();
  const navigate = useNavigate();
  const change = useCallback(
    (changed: Changed, { replace = false } = {}) =>
      void navigate({
        to: '.',
        search: (before: Record<string, unknown>) => ({ ...before, ...changed }),
        resetScroll: false,
        replace,
      } as never),
    [navigate],
  );
  const query = useMemo(() => analyticsQuery(search, zone), [search, zone]);
  return { search, query, zone, change };
}

/**
 * Keeps the zone of the address and that of the page equal: a shared address sets the page's zone,
 * and a change of the page's zone is written into the address.
 */
export function useZoneInAddress(): void {
  const { search, change } = useOverview();
  const settings = useSettings();
  const first = useRef(true);
  useEffect(() => {
    const wanted = search.tz;
    if (first.current && wanted !== undefined && isZone(wanted) && wanted !== settings.zone) {
      settings.change({ zone: wanted });
    } else if (wanted !== settings.zone && (!first.current || wanted !== undefined)) {
      change({ tz: settings.zone }, { replace: true });
    }
    first.current = false;
  }, [search.tz, settings, change]);
}

/** Returns label and definition of a metric in the language of the page. */
export function useMetricTexts() {
  const { overview } = useTexts();
  return useCallback(
    (metric: Pick<Metric, 'name' | 'label' | 'description'>) =>
      overview.metrics[metric.name] ?? { label: metric.label, description: metric.description },
    [overview],
  );
}
