import { useState, type FormEvent } from 'react';
import { Button } from '../../components/Button';
import { DateRange } from '../../components/DateRange';
import { Field } from '../../components/Field';
import { Icon } from '../../components/Icon';
import { Popover } from '../../components/Popover';
import { defined } from '../../app/search-params';
import { useTexts } from '../../texts';
import styles from './deliveries.module.css';
import { hiddenFilterCount, OUTCOMES, toggleOutcome, type DeliveriesSearch } from './search';
import { useDeliveriesSearch } from './use-deliveries';

/** Outcomes and time in sight, everything else behind a button. */
export function Filters() {
  const { deliveries } = useTexts();
  const { search, change } = useDeliveriesSearch();
  const { period, from, to, ...rest } = search;
  return (
    <div className={styles.filters}>
      <div role="group" aria-label={deliveries.outcome} className={styles.outcomes}>
        {OUTCOMES.map((outcome) => (
          <button
            key={outcome}
            type="button"
            aria-pressed={search.outcome?.includes(outcome) ?? false}
            title={deliveries.outcomeHelp[outcome]}
            className={styles.chip}
            onClick={() => {
              change(toggleOutcome(search, outcome));
            }}
          >
            {deliveries.outcomes[outcome]}
          </button>
        ))}
      </div>
      <div className={styles.more}>
        <DateRange
          value={{ period, from, to }}
          onChange={(range) => {
            change({ ...rest, ...defined(range) });
          }}
        />
        <MoreFilters search={search} change={change} />
      </div>
    </div>
  );
}

interface MoreProps {
  search: DeliveriesSearch;
  change: (search: DeliveriesSearch) => void;
}

function MoreFilters({ search, change }: MoreProps) {
  const { deliveries } = useTexts();
  const set = hiddenFilterCount(search);
  const label = set === 0 ? deliveries.filters : deliveries.filtersSet(set);
  return (
    <Popover
      label={label}
      className={styles.trigger ?? ''}
      trigger={
        <>
          <Icon name="filter" size={16} />
          {label}
        </>
      }
    >
      {(close) => (
        <FilterForm
          search={search}
          apply={(next) => {
            change(next);
            close();
          }}
        />
      )}
    </Popover>
  );
}

const FIELDS = ['reason', 'source', 'event_type', 'agent_id', 'session_id'] as const;
const NO_VALUES = { reason: '', source: '', event_type: '', agent_id: '', session_id: '' };

function FilterForm({
  search,
  apply,
}: {
  search: DeliveriesSearch;
  apply: (search: DeliveriesSearch) => void;
}) {
  const { common, deliveries } = useTexts();
  const [values, setValues] = useState(() => ({
    reason: search.reason ?? '',
    source: search.source ?? '',
    event_type: search.event_type ?? '',
    agent_id: search.agent_id?.join(' ') ?? '',
    session_id: search.session_id ?? '',
  }));
  const labels = {
    reason: deliveries.reasonFilter,
    source: deliveries.source,
    event_type: deliveries.eventType,
    agent_id: deliveries.agentId,
    session_id: deliveries.sessionId,
  };
  const helps: Partial<Values> = {
    reason: deliveries.reasonFilterHelp,
    event_type: deliveries.eventTypeHelp,
    agent_id: deliveries.agentIdHelp,
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    apply(withFields(search, values));
  };
  return (
    <form className={styles.filterForm} onSubmit={submit}>
      {FIELDS.map((name) => (
        <Field
          key={name}
          label={labels[name]}
          value={values[name]}
          spellCheck={false}
          autoComplete="off"
          help={helps[name]}
          onChange={(event) => {
            setValues({ ...values, [name]: event.target.value });
          }}
        />
      ))}
      <div className={styles.formActions}>
        <Button type="submit" kind="primary">
          {common.apply}
        </Button>
        <Button
          onClick={() => {
            apply(withFields(search, NO_VALUES));
          }}
        >
          {common.clear}
        </Button>
      </div>
    </form>
  );
}

type Values = Record<(typeof FIELDS)[number], string>;

function withFields(search: DeliveriesSearch, values: Values): DeliveriesSearch {
  const { outcome, period, from, to, job } = search;
  const agents = values.agent_id.split(/\s+/).filter(Boolean);
  return defined({
    outcome,
    period,
    from,
    to,
    job,
    reason: values.reason.trim() || undefined,
    source: values.source.trim() || undefined,
    event_type: values.event_type.trim() || undefined,
    agent_id: agents.length > 0 ? agents : undefined,
    session_id: values.session_id.trim() || undefined,
  });
}
