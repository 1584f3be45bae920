import { fetchSession } from '../api/browser-session';
import { reportUnauthorized } from '../api/unauthorized';
import { stayConnected } from './connection';
import type { LiveEvent, LiveStatus } from './events';
import { leadOne } from './leader';

const NAME = 'verbatim.live';

/** What the tabs of a browser say to each other. */
type Note =
  | { kind: 'event'; event: LiveEvent; id: string }
  | { kind: 'status'; status: LiveStatus; id: string | null }
  | { kind: 'hello' };

type EventListener = (event: LiveEvent) => void;
type StatusListener = () => void;

/**
 * The stream of this browser. One tab holds the connection and passes everything on, since a browser
 * opens six connections to a host and no more; when that tab goes, another goes on where it was.
 */
class Live {
  private status: LiveStatus = 'off';
  private leading = false;
  private lastId: string | null = null;
  private channel: BroadcastChannel | null = null;
  private readonly events = new Set<EventListener>();
  private readonly statuses = new Set<StatusListener>();

  /** Takes part until the returned function is called. */
  start(): () => void {
    const stop = new AbortController();
    const channel = new BroadcastChannel(NAME);
    this.channel = channel;
    channel.onmessage = (message: MessageEvent<Note>) => {
      this.receive(message.data);
    };
    channel.postMessage({ kind: 'hello' } satisfies Note);
    this.setStatus('connecting');
    void leadOne(NAME, stop.signal, (signal) => this.lead(signal));
    return () => {
      stop.abort();
      channel.close();
      this.channel = null;
      this.lastId = null;
      this.setStatus('off');
    };
  }

  onEvent(listener: EventListener): () => void {
    this.events.add(listener);
    return () => this.events.delete(listener);
  }

  onStatus = (listener: StatusListener): (() => void) => {
    this.statuses.add(listener);
    return () => this.statuses.delete(listener);
  };

  currentStatus = (): LiveStatus => this.status;

  private async lead(signal: AbortSignal): Promise<void> {
    this.leading = true;
    // The tab before had the stream, and nobody knows where it was: something may have been missed.
    if (this.status === 'open' && this.lastId === null) this.pass({ type: 'gap' }, '');
    await stayConnected(signal, {
      lastId: () => this.lastId,
      onEvent: (event, id) => {
        this.pass(event, id);
      },
      onStatus: (status) => {
        this.setStatus(status);
        this.sendStatus();
      },
      mayRetry: async () => {
        const session = await fetchSession().catch(() => undefined);
        if (session === null) reportUnauthorized();
        return session !== null;
      },
    });
    this.leading = false;
  }

  private receive(note: Note): void {
    if (note.kind === 'event') this.emit(note.event, note.id);
    else if (note.kind === 'status') {
      this.lastId = note.id ?? this.lastId;
      this.setStatus(note.status);
    } else if (this.leading) this.sendStatus();
  }

  private pass(event: LiveEvent, id: string): void {
    this.send({ kind: 'event', event, id });
    this.emit(event, id);
  }

  private sendStatus(): void {
    this.send({ kind: 'status', status: this.status, id: this.lastId });
  }

  private emit(event: LiveEvent, id: string): void {
    if (id !== '') this.lastId = id;
    this.events.forEach((listener) => {
      listener(event);
    });
  }

  private setStatus(status: LiveStatus): void {
    this.status = status;
    this.statuses.forEach((listener) => {
      listener();
    });
  }

  private send(note: Note): void {
    this.channel?.postMessage(note);
  }
}

export const live = new Live();
