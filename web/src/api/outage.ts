import type { QueryCache } from '@tanstack/react-query';
import { toApiError, type ApiError } from './error';

/** What does not answer: the service itself, or the database behind it. */
export type OutageKind = 'service' | 'database';

export interface Outage {
  kind: OutageKind;
  since: number;
}

/** Returns what an error says about an outage; null where it is about the request. */
export function outageOf(error: ApiError): OutageKind | null {
  if (error.code === 'unavailable') return 'database';
  const fromProxy = error.code === 'unknown' && [502, 503, 504].includes(error.status);
  return error.code === 'network' || fromProxy ? 'service' : null;
}

/** Knows which reads fail because of an outage, from the first failure on until they succeed. */
export class OutageWatch {
  private readonly failing = new Map<string, OutageKind>();
  private current: Outage | null = null;
  private readonly listeners = new Set<() => void>();

  watch(cache: QueryCache): void {
    cache.subscribe((event) => {
      const { queryHash } = event.query;
      if (event.type === 'removed') this.succeeded(queryHash);
      if (event.type !== 'updated') return;
      if (event.action.type === 'success') this.succeeded(queryHash);
      if (event.action.type === 'failed' || event.action.type === 'error') {
        this.failed(queryHash, toApiError(event.action.error));
      }
    });
  }

  failed(hash: string, error: ApiError): void {
    const kind = outageOf(error);
    if (kind === null) this.failing.delete(hash);
    else this.failing.set(hash, kind);
    this.update();
  }

  succeeded(hash: string): void {
    if (this.failing.delete(hash)) this.update();
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  get = (): Outage | null => this.current;

  private update(): void {
    const kinds = [...this.failing.values()];
    const kind = kinds.includes('service') ? 'service' : (kinds[0] ?? null);
    if (kind === (this.current?.kind ?? null)) return;
    this.current = kind === null ? null : { kind, since: this.current?.since ?? Date.now() };
    this.listeners.forEach((listener) => {
      listener();
    });
  }
}

export const outages = new OutageWatch();
