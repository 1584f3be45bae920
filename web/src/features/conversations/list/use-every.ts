import { useEffect, useRef } from 'react';

/** Calls `run` every `ms` milliseconds while the component is shown. */
export function useEvery(ms: number, run: () => void): void {
  const latest = useRef(run);
  useEffect(() => {
    latest.current = run;
  });
  useEffect(() => {
    const timer = setInterval(() => {
      latest.current();
    }, ms);
    return () => {
      clearInterval(timer);
    };
  }, [ms]);
}
