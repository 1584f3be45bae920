import { stringifySearch } from '../../../app/search-params';
import type { ConversationSearch } from '../search';

/** Returns the filters as a view keeps them: as they are in the address. */
export function queryOf(search: ConversationSearch): string {
  return stringifySearch({ ...search }).slice(1);
}

/** Returns the address that opens a view. */
export function viewUrl(query: string): string {
  return `${window.location.origin}/conversations${query === '' ? '' : `?${query}`}`;
}
