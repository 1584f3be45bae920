import { getRouteApi } from '@tanstack/react-router';
import { useState, type FormEvent } from 'react';
import { Button } from '../../components/Button';
import { Field, Select } from '../../components/Field';
import { useTexts } from '../../texts';
import { FoundTarget } from './FoundTarget';
import layout from '../../components/layout.module.css';
import { targetOf, type Target } from './search';

const route = getRouteApi('/shell/retention');
const KINDS = ['session', 'agent'] as const;

/** Finds a session or an agent, to hold or to erase it; what was found is in the address. */
export function TargetForm() {
  const { retention } = useTexts();
  const target = targetOf(route.useSearch());
  const navigate = route.useNavigate();
  const choose = (next: Target | null) => {
    void navigate({ search: next ?? {}, replace: true });
  };
  return (
    <section className={layout.section}>
      <h2>{retention.target}</h2>
      <Form
        key={`form ${target?.kind ?? ''} ${target?.id ?? ''}`}
        target={target}
        onFind={choose}
      />
      {target !== null && (
        <FoundTarget key={`found ${target.kind} ${target.id}`} target={target} onChoose={choose} />
      )}
    </section>
  );
}

function Form({ target, onFind }: { target: Target | null; onFind: (target: Target) => void }) {
  const { retention } = useTexts();
  const [kind, setKind] = useState<Target['kind']>(target?.kind ?? 'session');
  const [id, setId] = useState(target?.id ?? '');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (id.trim() !== '') onFind({ kind, id: id.trim() });
  };
  return (
    <form className={layout.form} onSubmit={submit}>
      <Select
        label={retention.kind}
        value={kind}
        options={KINDS.map((value) => ({ value, label: retention.kinds[value] }))}
        onChange={setKind}
      />
      <Field
        label={retention.ids[kind]}
        help={retention.idHelp[kind]}
        value={id}
        required
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => {
          setId(event.target.value);
        }}
      />
      <Button type="submit" icon="search" className={layout.start}>
        {retention.find}
      </Button>
    </form>
  );
}
