import { useNavigate, useParams } from '@tanstack/react-router';
import { useState, type MouseEvent } from 'react';
import { copyText } from '../../../components/CopyButton';
import type { LoadedWindow } from './window';

const SHOWN_MS = 2_000;

/** Handles the presses on permalinks and copy buttons of all rows; returns whether one was copied. */
export function usePresses(window: LoadedWindow) {
  const navigate = useNavigate();
  const { id } = useParams({ from: '/shell/conversations/$id' });
  const [copied, setCopied] = useState(false);

  const copy = async (button: HTMLElement, messageId: string) => {
    const message = window.messages.find((one) => one.id === messageId);
    if (message === undefined) return;
    await copyText(message.message);
    button.dataset['done'] = 'true';
    setCopied(true);
    setTimeout(() => {
      delete button.dataset['done'];
      setCopied(false);
    }, SHOWN_MS);
  };
  const onClick = (event: MouseEvent<HTMLElement>) => {
    if (!(event.target instanceof Element)) return;
    const target = event.target.closest<HTMLElement>('[data-link], [data-copy]');
    const { link, copy: copied } = target?.dataset ?? {};
    if (target !== null && copied !== undefined) void copy(target, copied);
    // With a modifier key it is a link as any other.
    if (link === undefined || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    void navigate({
      to: '/conversations/$id',
      params: { id },
      search: (previous) => ({ ...previous, message: link }),
      replace: true,
    });
  };
  return { copied, onClick };
}
