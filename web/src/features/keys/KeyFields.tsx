import { useState, type FormEvent } from 'react';
import { ActionError } from '../../components/ActionError';
import { Button } from '../../components/Button';
import { Field, Select } from '../../components/Field';
import { useTexts } from '../../texts';
import { EMPTY_FORM, EXPIRIES, formErrors, toggleScope, type KeyForm } from './form';
import styles from './keys.module.css';
import { ScopeFields } from './ScopeFields';

interface Props {
  busy: boolean;
  error: unknown;
  onCancel: () => void;
  onSubmit: (form: KeyForm) => void;
}

/** The fields of a new key. */
export function KeyFields({ busy, error, onCancel, onSubmit }: Props) {
  const { common, keys } = useTexts();
  const [form, setForm] = useState(EMPTY_FORM);
  const [tried, setTried] = useState(false);
  const today = new Date().toISOString().slice(0, 10);
  const errors = formErrors(form, today);
  const shown = tried ? errors : {};
  const change = (part: Partial<KeyForm>) => {
    setForm({ ...form, ...part });
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (Object.keys(errors).length === 0) onSubmit(form);
  };
  return (
    <form className={styles.form} onSubmit={submit} noValidate>
      <Field
        label={keys.name}
        placeholder={keys.namePlaceholder}
        value={form.name}
        maxLength={200}
        required
        autoComplete="off"
        error={shown.name && keys[shown.name]}
        onChange={(event) => {
          change({ name: event.target.value });
        }}
      />
      <ScopeFields
        scopes={form.scopes}
        error={shown.scopes && keys[shown.scopes]}
        onToggle={(scope) => {
          change({ scopes: toggleScope(form.scopes, scope) });
        }}
      />
      <Field
        label={keys.agents}
        placeholder={keys.allAgents}
        help={keys.agentsHelp}
        value={form.agents}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => {
          change({ agents: event.target.value });
        }}
      />
      <Select
        label={keys.expiry}
        value={form.expiry}
        options={EXPIRIES.map((value) => ({ value, label: keys.expiries[value] }))}
        onChange={(expiry) => {
          change({ expiry });
        }}
      />
      {form.expiry === 'date' && (
        <Field
          label={keys.expiryDate}
          type="date"
          value={form.date}
          min={today}
          error={shown.date && keys[shown.date]}
          onChange={(event) => {
            change({ date: event.target.value });
          }}
        />
      )}
      {error !== null && <ActionError error={error} />}
      <div className={styles.actions}>
        <Button onClick={onCancel}>{common.cancel}</Button>
        <Button kind="primary" type="submit" busy={busy}>
          {busy ? keys.creating : keys.submit}
        </Button>
      </div>
    </form>
  );
}
