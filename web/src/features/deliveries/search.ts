/** Search params of the view. */
export type DeliveriesSearch = Record<never, never>;

export function parseDeliveriesSearch(search: Record<string, unknown>): DeliveriesSearch {
  void search;
  return {};
}
