/** Search params of the view. */
export type OverviewSearch = Record<never, never>;

export function parseOverviewSearch(search: Record<string, unknown>): OverviewSearch {
  void search;
  return {};
}
