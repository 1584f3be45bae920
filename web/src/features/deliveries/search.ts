import { choiceParam, defined, listParam, textParam } from '../../app/search-params';
import { bounds, isDate, PERIODS, type Period } from '../../components/DateRange/range';

export const OUTCOMES = ['stored', 'duplicate', 'test', 'unhandled', 'quarantined'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Search params of the view: filters, and the job whose progress is shown. */
export interface DeliveriesSearch {
  outcome?: Outcome[];
  source?: string;
  event_type?: string;
  agent_id?: string[];
  session_id?: string;
  reason?: string;
  period?: Period;
  from?: string;
  to?: string;
  job?: string;
}

export function parseDeliveriesSearch(search: Record<string, unknown>): DeliveriesSearch {
  const outcomes = listParam(search, 'outcome');
  const known = OUTCOMES.filter((one) => outcomes?.includes(one));
  const date = (name: string) => {
    const text = textParam(search, name);
    return isDate(text) ? text : undefined;
  };
  return defined({
    outcome: known.length > 0 ? known : undefined,
    source: textParam(search, 'source'),
    event_type: textParam(search, 'event_type'),
    agent_id: listParam(search, 'agent_id'),
    session_id: textParam(search, 'session_id'),
    reason: textParam(search, 'reason'),
    period: choiceParam(search, 'period', PERIODS),
    from: date('from'),
    to: date('to'),
    job: textParam(search, 'job'),
  });
}

interface Clock {
  zone: string;
  /** The local date in the zone. */
  today: string;
  now: number;
}

/** Returns the filters as the API takes them. */
export function deliveryFilters(search: DeliveriesSearch, { zone, today, now }: Clock) {
  const { from, to } = bounds(search, today, now);
  return defined({
    outcome: search.outcome,
    source: search.source,
    event_type: search.event_type,
    agent_id: search.agent_id,
    session_id: search.session_id,
    reason: search.reason,
    received_after: from,
    received_before: to,
    tz: from === undefined && to === undefined ? undefined : zone,
  });
}

export type DeliveryFilters = ReturnType<typeof deliveryFilters>;

/** Adds the outcome to the filter, or takes it out. */
export function toggleOutcome(search: DeliveriesSearch, outcome: Outcome): DeliveriesSearch {
  const current = search.outcome ?? [];
  const next = current.includes(outcome)
    ? current.filter((one) => one !== outcome)
    : OUTCOMES.filter((one) => one === outcome || current.includes(one));
  return defined({ ...search, outcome: next.length === 0 ? undefined : next });
}

/** Returns the number of filters that are set behind the button, which shows no outcome and no time. */
export function hiddenFilterCount(search: DeliveriesSearch): number {
  const { source, event_type, agent_id, session_id, reason } = search;
  return [source, event_type, agent_id, session_id, reason].filter((one) => one !== undefined)
    .length;
}

/** Can there be something in quarantine among what matches? */
export function mayHoldQuarantined({ outcome }: DeliveriesSearch): boolean {
  return outcome === undefined || outcome.includes('quarantined');
}
