type Listener = () => void;

const listeners = new Set<Listener>();

/** Calls `listener` whenever the service no longer accepts the session; returns how to stop. */
export function onUnauthorized(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function reportUnauthorized(): void {
  listeners.forEach((listener) => {
    listener();
  });
}
