import { useNavigate, useParams } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { Button } from '../../../components/Button';
import { useTexts } from '../../../texts';
import styles from './Reading.module.css';
import { useFind } from './use-find';
import type { ConversationWindow } from './use-window';

interface Props {
  sessionId: string;
  loaded: ConversationWindow;
  text: string;
  onText: (text: string) => void;
  onClose: () => void;
}

/** Finds inside the conversation, where the browser's own search cannot see rows that are not drawn. */
export function FindBar({ sessionId, loaded, text, onText, onClose }: Props) {
  const { common, conversations } = useTexts();
  const texts = conversations.reading;
  const { hits, whole, busy } = useFind(sessionId, loaded, text);
  const { id } = useParams({ from: '/shell/conversations/$id' });
  const navigate = useNavigate();
  const [at, setAt] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);

  const go = (by: number) => {
    const next = hits.length === 0 ? -1 : (at + by + hits.length) % hits.length;
    const message = hits[next];
    setAt(next);
    if (message === undefined) return;
    void navigate({
      to: '/conversations/$id',
      params: { id },
      search: (previous) => ({ ...previous, message }),
      replace: true,
    });
  };
  return (
    <search className={styles.find}>
      <input
        ref={input}
        aria-label={texts.find}
        placeholder={texts.find}
        value={text}
        onChange={(event) => {
          onText(event.target.value);
          setAt(-1);
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter') go(event.shiftKey ? -1 : 1);
          if (event.key === 'Escape') onClose();
          if (event.key === 'Escape') event.stopPropagation();
        }}
      />
      <span role="status" className={styles.findCount}>
        {text.length > 1 && !busy && hits.length === 0 && texts.noHits}
        {hits.length > 0 && texts.hits(at + 1, hits.length)}
      </span>
      <Button
        kind="quiet"
        icon="up"
        iconOnly
        disabled={hits.length === 0}
        onClick={() => {
          go(-1);
        }}
      >
        {texts.findPrevious}
      </Button>
      <Button
        kind="quiet"
        icon="down"
        iconOnly
        disabled={hits.length === 0}
        onClick={() => {
          go(1);
        }}
      >
        {texts.findNext}
      </Button>
      <Button kind="quiet" icon="close" iconOnly onClick={onClose}>
        {common.close}
      </Button>
      {!whole && <span className={styles.findNote}>{texts.findWhole}</span>}
    </search>
  );
}
