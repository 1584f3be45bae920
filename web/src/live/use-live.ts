import { useEffect, useRef, useSyncExternalStore } from 'react';
import type { LiveEvent, LiveStatus } from './events';
import { live } from './live';

/** Takes part in the stream of the browser while `enabled`. */
export function useLiveConnection(enabled: boolean): void {
  useEffect(() => (enabled ? live.start() : undefined), [enabled]);
}

/** Calls `listener` with each event of the stream. */
export function useLiveEvents(listener: (event: LiveEvent) => void): void {
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(
    () =>
      live.onEvent((event) => {
        latest.current(event);
      }),
    [],
  );
}

/** Returns how the stream stands. */
export function useLiveStatus(): LiveStatus {
  return useSyncExternalStore(live.onStatus, live.currentStatus);
}

/** Calls `listener` when the stream is back after it had been away. */
export function useReconnected(listener: () => void): void {
  const latest = useRef(listener);
  const before = useRef<LiveStatus>('off');
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(
    () =>
      live.onStatus(() => {
        const status = live.currentStatus();
        if (status === 'retrying') before.current = 'retrying';
        if (status !== 'open') return;
        if (before.current === 'retrying') latest.current();
        before.current = 'open';
      }),
    [],
  );
}
