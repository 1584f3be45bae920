import { useState } from 'react';
import { Button } from '../../components/Button';
import { DateRange } from '../../components/DateRange';
import { Checkbox, Field, Select } from '../../components/Field';
import { Icon } from '../../components/Icon';
import { Popover } from '../../components/Popover';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import { NAMES_LIMIT, useNames } from './api';
import layout from '../../components/layout.module.css';
import styles from './overview.module.css';
import { COMPARISONS, rangeOf } from './search';
import { useOverview } from './use-overview';

/** Range, comparison, agents and sources: all of them in the address. */
export function Filters() {
  const { overview } = useTexts();
  const { search, zone, change } = useOverview();
  const format = useFormat();
  const agents = useNames('agent', zone);
  const sources = useNames('source', zone);
  const filtered = search.agent ?? search.source ?? search.room;
  return (
    <div role="group" aria-label={overview.filters} className={styles.filters}>
      <DateRange
        optional={false}
        value={rangeOf(search)}
        onChange={(range) => {
          change({ period: range.period, from: range.from, to: range.to });
        }}
      />
      <Select
        label={overview.compare}
        labelHidden
        value={search.compare ?? 'previous'}
        options={COMPARISONS.map((one) => ({
          value: one,
          label: `${overview.compare}: ${overview.comparisons[one]}`,
        }))}
        onChange={(value) => {
          change({ compare: value === 'previous' ? undefined : value });
        }}
      />
      <NamesFilter
        label={overview.agents}
        all={overview.allAgents}
        some={(count) => overview.agentCount(format.count(count))}
        names={agents.data ?? []}
        value={search.agent ?? []}
        onChange={(value) => {
          change({ agent: value });
        }}
      />
      {((sources.data?.length ?? 0) > 1 || search.source !== undefined) && (
        <Select
          label={overview.sources}
          labelHidden
          value={search.source ?? ''}
          options={[
            { value: '', label: overview.allSources },
            ...[...new Set([...(sources.data ?? []), search.source ?? ''])]
              .filter((name) => name !== '')
              .map((name) => ({ value: name, label: name })),
          ]}
          onChange={(value) => {
            change({ source: value === '' ? undefined : value });
          }}
        />
      )}
      {search.room !== undefined && (
        <span className={layout.note}>{overview.rooms(search.room)}</span>
      )}
      {filtered !== undefined && (
        <Button
          kind="quiet"
          icon="close"
          onClick={() => {
            change({ agent: undefined, source: undefined, room: undefined });
          }}
        >
          {overview.clearFilters}
        </Button>
      )}
    </div>
  );
}

interface NamesProps {
  label: string;
  all: string;
  some: (count: number) => string;
  names: readonly string[];
  value: readonly string[];
  onChange: (value: string[] | undefined) => void;
}

function NamesFilter({ label, all, some, names, value, onChange }: NamesProps) {
  const text =
    value.length === 0 ? all : value.length === 1 ? (value[0] ?? '') : some(value.length);
  return (
    <Popover
      label={`${label}: ${text}`}
      className={styles.trigger ?? ''}
      trigger={
        <>
          <span className={styles.triggerText} dir="auto">
            {text}
          </span>
          <Icon name="down" size={14} />
        </>
      }
    >
      <NamesList label={label} names={names} value={value} onChange={onChange} />
    </Popover>
  );
}

/** Names from which on a list has a field to find one. */
const LONG_LIST = 8;

function NamesList({
  label,
  names,
  value,
  onChange,
}: Pick<NamesProps, 'label' | 'names' | 'value' | 'onChange'>) {
  const { overview } = useTexts();
  const [text, setText] = useState('');
  const known = [...new Set([...value, ...names])];
  const found = known.filter((name) => name.toLowerCase().includes(text.toLowerCase()));
  // There may be more names than the list holds: any can be typed.
  const typed = text.trim();
  const shown =
    names.length >= NAMES_LIMIT && typed !== '' && !known.includes(typed)
      ? [...found, typed]
      : found;
  return (
    <fieldset className={styles.names}>
      <legend className="visually-hidden">{label}</legend>
      {known.length > LONG_LIST && (
        <Field
          label={overview.find}
          labelHidden
          placeholder={overview.find}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
          }}
        />
      )}
      {shown.map((name) => (
        <Checkbox
          key={name}
          label={name}
          checked={value.includes(name)}
          onChange={(checked) => {
            const next = checked ? [...value, name] : value.filter((one) => one !== name);
            onChange(next.length === 0 ? undefined : next);
          }}
        />
      ))}
      {shown.length === 0 && <p className={layout.note}>{overview.noMatch}</p>}
    </fieldset>
  );
}
