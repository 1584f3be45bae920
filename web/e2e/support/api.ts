import { createHmac } from 'node:crypto';

export type Scope = 'read' | 'analytics' | 'export' | 'erase' | 'admin';

export interface MadeKey {
  id: string;
  key: string;
}

interface Ready {
  inbox: { deliveries: number };
  search?: { lag_entries: number } | null;
  figures?: { lag_entries: number } | null;
}

/** The service's API and its webhook, as a program uses them. */
export class Api {
  constructor(
    readonly url: string,
    private readonly key: string,
    private readonly secret: string,
  ) {}

  /** Sends a request with the key; throws where the answer is no success. */
  async send<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await fetch(`${this.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.key}`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${String(answer.status)} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  get<T>(path: string): Promise<T> {
    return this.send<T>('GET', path);
  }

  makeKey(name: string, scopes: readonly Scope[], agents?: readonly string[]): Promise<MadeKey> {
    return this.send('POST', '/v1/keys', { name, scopes, ...(agents && { agents }) });
  }

  async revokeKey(id: string): Promise<void> {
    await this.send('DELETE', `/v1/keys/${id}`);
  }

  /** Delivers a body as the sender does, signed; returns the status. */
  async deliver(body: unknown, secret = this.secret): Promise<number> {
    const bytes = typeof body === 'string' ? body : JSON.stringify(body);
    const answer = await fetch(`${this.url}/webhook`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-bithuman-signature': `sha256=${createHmac('sha256', secret).update(bytes).digest('hex')}`,
      },
      body: bytes,
    });
    await answer.text();
    return answer.status;
  }

  ready(): Promise<Ready> {
    return this.get('/readyz');
  }
}
