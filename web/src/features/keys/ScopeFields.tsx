import { useId } from 'react';
import type { ScopeName } from '../../api/generated';
import { useTexts } from '../../texts';
import { SCOPES } from './form';
import layout from '../../components/layout.module.css';
import styles from './keys.module.css';

interface Props {
  scopes: readonly ScopeName[];
  error: string | undefined;
  onToggle: (scope: ScopeName) => void;
}

/** What a key allows, each with what that means. */
export function ScopeFields({ scopes, error, onToggle }: Props) {
  const { keys } = useTexts();
  const id = useId();
  const all = scopes.includes('admin');
  return (
    <fieldset className={styles.scopes} aria-describedby={error && `${id}-error`}>
      <legend>{keys.scopes}</legend>
      {SCOPES.map((scope) => (
        <label key={scope} className={styles.scope} htmlFor={`${id}-${scope}`}>
          <input
            id={`${id}-${scope}`}
            type="checkbox"
            checked={all || scopes.includes(scope)}
            disabled={all && scope !== 'admin'}
            onChange={() => {
              onToggle(scope);
            }}
          />
          <span>
            <strong>{keys.scopeNames[scope]}</strong>
            <span className={layout.note}>{keys.scopeHelp[scope]}</span>
          </span>
        </label>
      ))}
      {error !== undefined && (
        <p id={`${id}-error`} role="alert" className={styles.error}>
          {error}
        </p>
      )}
    </fieldset>
  );
}
