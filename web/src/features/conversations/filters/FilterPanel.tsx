import { useQuery } from '@tanstack/react-query';
import { useId, useState } from 'react';
import { queryKeys } from '../../../api/keys';
import { Checkbox, Field, Select } from '../../../components/Field';
import { useTexts } from '../../../texts';
import { fetchAgentIds } from '../api';
import { FLAGS, OPENINGS, STATUSES, type ConversationSearch, type FlagName } from '../search';
import styles from './Filters.module.css';

const SPOKEN = ['silent', 'engaged', 'single'] as const;
const SECONDS_PER_MINUTE = 60;

export interface FilterProps {
  search: ConversationSearch;
  onChange: (change: Partial<ConversationSearch>) => void;
}

/** All filters but text and time. */
export default function FilterPanel({ search, onChange }: FilterProps) {
  const { conversations } = useTexts();
  const texts = conversations.filters;
  const any = { value: '', label: texts.any } as const;
  return (
    <div className={styles.panel}>
      <AgentField search={search} onChange={onChange} />
      <Select
        label={texts.status}
        value={search.status ?? ''}
        options={[any, ...STATUSES.map((value) => ({ value, label: conversations.status[value] }))]}
        onChange={(value) => {
          onChange({ status: value === '' ? undefined : value });
        }}
      />
      <Select
        label={texts.openedBy}
        value={search.opened ?? ''}
        options={[
          any,
          ...OPENINGS.map((value) => ({ value, label: conversations.openedBy[value] })),
        ]}
        onChange={(value) => {
          onChange({ opened: value === '' ? undefined : value });
        }}
      />
      <LateField label={texts.source} name="source" search={search} onChange={onChange} />
      <LateField label={texts.room} name="room" search={search} onChange={onChange} />
      <LateField label={texts.min} name="min" search={search} onChange={onChange} />
      <LateField label={texts.max} name="max" search={search} onChange={onChange} />
      <LateField label={texts.longer} name="longer" search={search} onChange={onChange} />
      <LateField label={texts.shorter} name="shorter" search={search} onChange={onChange} />
      <fieldset className={styles.flags}>
        <legend>{texts.who}</legend>
        {SPOKEN.map((name) => (
          <Checkbox
            key={name}
            label={texts[name]}
            checked={search[name] === true}
            onChange={(checked) => {
              onChange({ [name]: checked || undefined });
            }}
          />
        ))}
      </fieldset>
      <FlagFields search={search} onChange={onChange} />
    </div>
  );
}

function FlagFields({ search, onChange }: FilterProps) {
  const { conversations } = useTexts();
  const chosen = search.flag ?? [];
  const toggle = (flag: FlagName, checked: boolean) => {
    const next = checked ? [...chosen, flag] : chosen.filter((one) => one !== flag);
    onChange({ flag: next.length === 0 ? undefined : next });
  };
  return (
    <fieldset className={styles.flags}>
      <legend>{conversations.filters.flag}</legend>
      {FLAGS.map((flag) => (
        <Checkbox
          key={flag}
          label={conversations.flags[flag]}
          checked={chosen.includes(flag)}
          onChange={(checked) => {
            toggle(flag, checked);
          }}
        />
      ))}
    </fieldset>
  );
}

function AgentField({ search, onChange }: FilterProps) {
  const { conversations } = useTexts();
  const id = useId();
  const agents = useQuery({
    queryKey: queryKeys.agents,
    queryFn: ({ signal }) => fetchAgentIds(signal),
  });
  const chosen = search.agent ?? [];
  const add = (agent: string) => {
    if (!chosen.includes(agent)) onChange({ agent: [...chosen, agent] });
  };
  return (
    <div className={styles.wide}>
      <Field
        key={chosen.length}
        label={conversations.filters.agent}
        list={id}
        placeholder={chosen.length === 0 ? conversations.filters.anyAgent : chosen.join(', ')}
        onChange={(event) => {
          const agent = event.target.value;
          if (agents.data?.includes(agent) === true) add(agent);
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && event.currentTarget.value !== '') {
            add(event.currentTarget.value);
          }
        }}
      />
      <datalist id={id}>
        {agents.data?.map((agent) => (
          <option key={agent} value={agent} />
        ))}
      </datalist>
    </div>
  );
}

interface LateProps extends FilterProps {
  label: string;
  name: 'source' | 'room' | 'min' | 'max' | 'longer' | 'shorter';
}

/** A field that counts once it is left or Enter is pressed. */
function LateField({ label, name, search, onChange }: LateProps) {
  const numeric = name !== 'source' && name !== 'room';
  // Lengths are in seconds in the address, and in minutes here.
  const unit = name === 'longer' || name === 'shorter' ? SECONDS_PER_MINUTE : 1;
  const [text, setText] = useState(() => shownValue(search[name], unit));
  const apply = () => {
    const value = text.trim() === '' ? undefined : numeric ? wholeValue(text, unit) : text.trim();
    if (value !== search[name]) onChange({ [name]: value });
  };
  return (
    <Field
      label={label}
      value={text}
      {...(numeric && { type: 'number', min: 0, step: 'any', inputMode: 'decimal' })}
      onChange={(event) => {
        setText(event.target.value);
      }}
      onBlur={apply}
      onKeyDown={(event) => {
        if (event.key === 'Enter') apply();
      }}
    />
  );
}

function shownValue(value: string | number | undefined, unit: number): string {
  if (typeof value !== 'number') return value ?? '';
  return String(Math.round((value / unit) * 100) / 100);
}

function wholeValue(text: string, unit: number): number | undefined {
  const value = Math.round(Number(text) * unit);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}
