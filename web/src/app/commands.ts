import { useEffect, useRef } from 'react';

/** What any part of the page can ask another to do. */
export type CommandName =
  'palette' | 'shortcuts' | 'search' | 'next' | 'previous' | 'find' | 'back';

const target = new EventTarget();

export function emitCommand(name: CommandName): void {
  target.dispatchEvent(new Event(name));
}

/** Calls `run` when the command is given, for as long as the component is shown. */
export function useCommand(name: CommandName, run: () => void): void {
  const latest = useRef(run);
  useEffect(() => {
    latest.current = run;
  });
  useEffect(() => {
    const listener = () => {
      latest.current();
    };
    target.addEventListener(name, listener);
    return () => {
      target.removeEventListener(name, listener);
    };
  }, [name]);
}
