import { useSyncExternalStore } from 'react';

let current = '';
const listeners = new Set<() => void>();

/** Has a text read aloud, after what is being read. */
export function announce(text: string): void {
  // The same text twice would not be a change, and so not be read.
  current = text === current ? `${text}\u00a0` : text;
  listeners.forEach((listener) => {
    listener();
  });
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The one live region of all charts of a view. */
export function Announcer() {
  const text = useSyncExternalStore(subscribe, () => current);
  return (
    <p role="status" aria-live="polite" className="visually-hidden">
      {text}
    </p>
  );
}
