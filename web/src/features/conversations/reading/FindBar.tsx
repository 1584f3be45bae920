import { useNavigate, useParams } from '@tanstack/react-router';
import { useEffect, useEffectEvent, useRef, useState } from 'react';
import { Button } from '../../../components/Button';
import { useTexts } from '../../../texts';
import styles from './Reading.module.css';
import { hitAt } from './find';
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
  const { hits, whole, current } = useFind(sessionId, loaded, text);
  const { id } = useParams({ from: '/shell/conversations/$id' });
  const navigate = useNavigate();
  const [steps, setSteps] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);

  const at = hitAt(steps, hits.length);
  const go = (by: 1 | -1) => {
    setSteps(steps + by === 0 ? by : steps + by);
  };
  // Enter may come before the hits of what was typed: they are shown once they are there.
  const show = useEffectEvent(() => {
    const message = hits[at];
    if (message === undefined) return;
    void navigate({
      to: '/conversations/$id',
      params: { id },
      search: (previous) => ({ ...previous, message }),
      replace: true,
    });
  });
  useEffect(() => {
    if (current && steps !== 0) show();
  }, [current, steps]);
  return (
    <search className={styles.find}>
      <input
        ref={input}
        aria-label={texts.find}
        placeholder={texts.find}
        value={text}
        onChange={(event) => {
          onText(event.target.value);
          setSteps(0);
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter') go(event.shiftKey ? -1 : 1);
          if (event.key === 'Escape') onClose();
          if (event.key === 'Escape') event.stopPropagation();
        }}
      />
      <span role="status" className={styles.findCount}>
        {text.length > 1 && current && hits.length === 0 && texts.noHits}
        {current && hits.length > 0 && texts.hits(at + 1, hits.length)}
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
