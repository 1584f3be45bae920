import { useState } from 'react';
import { Button } from '../../../components/Button';
import { Field } from '../../../components/Field';

interface Props {
  label: string;
  help?: string;
  start?: string;
  errorOf?: (name: string) => string | undefined;
  submitText: (name: string) => string;
  onSubmit: (name: string) => void;
}

/** Asks for the name of a view. */
export function NameForm({ label, help, start = '', errorOf, submitText, onSubmit }: Props) {
  const [text, setText] = useState(start);
  const name = text.trim();
  const error = errorOf?.(name);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (name === '' || error !== undefined) return;
        onSubmit(name);
        setText('');
      }}
    >
      <Field
        label={label}
        help={help}
        error={error}
        required
        maxLength={100}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
        }}
      />
      <Button type="submit">{submitText(name)}</Button>
    </form>
  );
}
