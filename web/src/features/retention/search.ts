/** Search params of the view. */
export type RetentionSearch = Record<never, never>;

export function parseRetentionSearch(search: Record<string, unknown>): RetentionSearch {
  void search;
  return {};
}
