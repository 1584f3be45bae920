import { urlWith } from '../api/request';
import { EVENT_NAMES, parseEvent, type LiveEvent, type LiveStatus } from './events';
import { wait } from './leader';

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;

interface Handlers {
  onEvent: (event: LiveEvent, id: string) => void;
  onStatus: (status: LiveStatus) => void;
  /** Where to go on; what another tab has seen counts. */
  lastId: () => string | null;
  /** The service refused the stream. Is the session still there? */
  mayRetry: () => Promise<boolean>;
}

/** Keeps a stream open until `signal` ends: the browser retries what breaks, this what was refused. */
export async function stayConnected(signal: AbortSignal, handlers: Handlers): Promise<void> {
  let delay = FIRST_DELAY_MS;
  while (!signal.aborted) {
    const opened = await connectOnce(signal, handlers);
    if (signal.aborted) return;
    handlers.onStatus('retrying');
    if (opened) delay = FIRST_DELAY_MS;
    await wait(delay, signal);
    delay = Math.min(delay * 2, LONGEST_DELAY_MS);
    if (!(await handlers.mayRetry())) return;
  }
}

/** Resolves once the stream is closed for good; true where it had been open. */
function connectOnce(signal: AbortSignal, handlers: Handlers): Promise<boolean> {
  return new Promise((resolve) => {
    let opened = false;
    const source = new EventSource(urlWith('/v1/stream', { last_event_id: handlers.lastId() }));
    const close = () => {
      source.close();
      signal.removeEventListener('abort', close);
      resolve(opened);
    };
    signal.addEventListener('abort', close);
    handlers.onStatus('connecting');
    source.onopen = () => {
      opened = true;
      handlers.onStatus('open');
    };
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) close();
      else handlers.onStatus('retrying');
    };
    for (const name of EVENT_NAMES) {
      source.addEventListener(name, (message: MessageEvent<string>) => {
        const event = parseEvent(name, message.data);
        if (event !== null) handlers.onEvent(event, message.lastEventId);
      });
    }
  });
}
