import { getRouteApi } from '@tanstack/react-router';
import { getDeliveries } from '../../api/generated';
import { queryKeys } from '../../api/keys';
import { usePages } from '../../api/use-pages';
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
    void navigate({ to: '.', search: next });
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

/** Loads deliveries page by page. */
export function useDeliveries(filters: DeliveryFilters) {
  return usePages({
    queryKey: queryKeys.deliveryList(filters),
    load: async (page, signal) =>
      (await getDeliveries({ query: { ...filters, ...page, limit: PAGE_ROWS }, signal })).data,
    refreshMs: REFRESH_MS,
  });
}
