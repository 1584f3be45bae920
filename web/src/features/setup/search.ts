import { textParam } from '../../app/search-params';

/** Search params of the view: the source that is shown. */
export interface SetupSearch {
  source?: string;
}

export function parseSetupSearch(search: Record<string, unknown>): SetupSearch {
  const source = textParam(search, 'source');
  return source === undefined ? {} : { source };
}
