import { useNavigate } from '@tanstack/react-router';
import { useEffect } from 'react';
import { emitCommand } from './commands';
import { SEQUENCE_MS, shortcutFor } from './shortcuts';

/** Listens to the keyboard for the whole page. */
export function useShortcuts(): void {
  const navigate = useNavigate();
  useEffect(() => {
    let before: string | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing) return;
      const action = shortcutFor(
        {
          key: event.key,
          ctrlKey: event.ctrlKey,
          metaKey: event.metaKey,
          altKey: event.altKey,
          typing: isEditable(event.target),
          dialog: document.querySelector('dialog[open], [popover]:popover-open') !== null,
        },
        before,
      );
      clearTimeout(timer);
      before = event.key === 'g' && !isEditable(event.target) ? 'g' : null;
      timer = setTimeout(() => (before = null), SEQUENCE_MS);
      if (action === null) return;
      event.preventDefault();
      if ('go' in action) void navigate({ to: action.go });
      else emitCommand(action.command);
    };
    window.addEventListener('keydown', onKey);
    return () => {
      window.removeEventListener('keydown', onKey);
      clearTimeout(timer);
    };
  }, [navigate]);
}

function isEditable(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName))
  );
}
