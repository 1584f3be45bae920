import { requestJson } from './request';
import { ApiError } from './error';

export type Scope = 'read' | 'analytics' | 'export' | 'erase' | 'admin';

/** What the signed-in browser may do. */
export interface BrowserSession {
  key_id: string | null;
  /** null: the key of the service's settings. */
  key_name: string | null;
  scopes: Scope[];
  agents: string[] | null;
  expires_at: string | null;
}

const PATH = '/v1/browser-session';

/** The service's mark that there may be a session, whose own cookie scripts cannot read. */
const MARK = 'verbatim_signed_in';

function isMarked(): boolean {
  return document.cookie.split('; ').some((cookie) => cookie.startsWith(`${MARK}=`));
}

/** Returns the session of this browser, or null where nobody is signed in. */
export async function fetchSession(signal?: AbortSignal): Promise<BrowserSession | null> {
  if (!isMarked()) return null;
  try {
    const session = await requestJson<BrowserSession | undefined>(PATH, {
      signal,
      expectUnauthorized: true,
    });
    return session ?? null;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    // It has ended; what is asked next would fail, too.
    document.cookie = `${MARK}=; Path=/; Max-Age=0`;
    return null;
  }
}

/** Signs in with a key or a one-time token. */
export async function signIn(credentials: { key: string } | { token: string }): Promise<void> {
  await requestJson(PATH, { method: 'POST', body: credentials, expectUnauthorized: true });
}

export async function signOut(): Promise<void> {
  await requestJson(PATH, { method: 'DELETE', expectUnauthorized: true });
}

/** Does the session have the scope? `admin` is all of them. */
export function allows(session: BrowserSession, scope: Scope): boolean {
  return session.scopes.includes('admin') || session.scopes.includes(scope);
}
