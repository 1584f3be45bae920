import { useMemo } from 'react';
import { localDate } from '../../format/time';
import { useFormat } from '../../format/use-format';

const MINUTE_MS = 60_000;

/** Returns the present for the filters, to the minute: queries stay equal as long as it lasts. */
export function useClock() {
  const { zone } = useFormat();
  // Read at each drawing on purpose: a list that is drawn tomorrow is about tomorrow's "today".
  // eslint-disable-next-line react-hooks/purity
  const minute = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  return useMemo(() => ({ zone, today: localDate(minute, zone), now: minute }), [zone, minute]);
}
