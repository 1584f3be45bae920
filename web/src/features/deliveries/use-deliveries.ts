import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { getDeliveries } from '../../api/generated';
import { queryKeys } from '../../api/keys';
import { useFormat } from '../../format/use-format';
import { useNow } from '../../format/use-now';
import { deliveryFilters, type DeliveriesSearch, type DeliveryFilters } from './search';

const PAGE_ROWS = 100;
const REFRESH_MS = 10_000;
/** A bound that moved with each drawing would be another query each time. */
const BOUND_STEP_MS = 300_000;
const route = getRouteApi('/shell/deliveries');

/** Returns the search params of the view and how to change them. */
export function useDeliveriesSearch() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change = (next: DeliveriesSearch) => {
    void navigate({ to: '.', search: next, replace: true });
  };
  return { search, change };
}

/** Returns the filters of the address as the API takes them. */
export function useFilters(): DeliveryFilters {
  const { zone, localDate } = useFormat();
  const search = route.useSearch();
  const now = useNow(BOUND_STEP_MS);
  return deliveryFilters(search, { zone, today: localDate(now), now });
}

/** Loads deliveries page by page; the first page is kept up to date while it is the only one. */
export function useDeliveries(filters: DeliveryFilters) {
  const query = useInfiniteQuery({
    queryKey: queryKeys.deliveryList(filters),
    queryFn: async ({ pageParam, signal }) => {
      const page = { limit: PAGE_ROWS, ...(pageParam !== null && { cursor: pageParam }) };
      return (await getDeliveries({ query: { ...filters, ...page }, signal })).data;
    },
    initialPageParam: null as string | null,
    getNextPageParam: (last) => (last.has_more ? last.next_cursor : null),
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) > 1 ? false : REFRESH_MS),
  });
  return { query, rows: query.data?.pages.flatMap((page) => page.data) ?? [] };
}
