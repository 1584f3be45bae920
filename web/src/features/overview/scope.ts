import type { Summary } from '../../api/generated';
import type { OverviewSearch } from './search';
import type { SqlScope } from './sql';

/** Returns range and filters for SQL, with the bounds that the service computed. */
export function scopeOf(
  summary: Pick<Summary, 'from' | 'to' | 'tz'>,
  search: OverviewSearch,
): SqlScope {
  return {
    from: summary.from,
    to: summary.to,
    tz: summary.tz,
    agents: search.agent ?? [],
    sources: search.source === undefined ? [] : [search.source],
    rooms: search.room === undefined ? [] : [search.room],
  };
}
