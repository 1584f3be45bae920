import { useEffect, useRef, useState } from 'react';
import { useCommand } from '../../../app/commands';
import { Button } from '../../../components/Button';
import { Icon } from '../../../components/Icon';
import { useTexts } from '../../../texts';
import styles from './Filters.module.css';

/** How long typing pauses before it is searched for. */
const PAUSE_MS = 200;

interface Props {
  value: string;
  onChange: (text: string) => void;
}

/** The search field: it searches as one types. */
export function SearchField({ value, onChange }: Props) {
  const { common, conversations } = useTexts();
  const [text, setText] = useState(value);
  const [shown, setShown] = useState(value);
  const input = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);

  // The address may change by itself: back, a saved view, filters cleared.
  if (value !== shown) {
    setShown(value);
    setText(value);
  }
  useEffect(
    () => () => {
      clearTimeout(timer.current);
    },
    [],
  );
  useCommand('search', () => {
    input.current?.focus();
    input.current?.select();
  });
  const send = (next: string, pause: number) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      setShown(next.trim());
      onChange(next.trim());
    }, pause);
  };
  return (
    <search className={styles.search}>
      <Icon name="search" size={16} />
      <input
        ref={input}
        type="search"
        aria-label={conversations.searchLabel}
        placeholder={conversations.searchPlaceholder}
        aria-keyshortcuts="/"
        value={text}
        maxLength={1000}
        onChange={(event) => {
          send(event.target.value, PAUSE_MS);
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape') {
            send('', 0);
            input.current?.blur();
          }
        }}
      />
      {text !== '' && (
        <Button
          kind="quiet"
          icon="close"
          iconOnly
          onClick={() => {
            send('', 0);
            input.current?.focus();
          }}
        >
          {common.clear}
        </Button>
      )}
    </search>
  );
}
