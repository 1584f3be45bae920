/** Returns the token of a one-time link, `#token=…`. */
export function tokenFromHash(hash: string): string | null {
  return new URLSearchParams(hash.replace(/^#/, '')).get('token');
}

/** Returns the path to go to after signing in; anything that leads to another host becomes `/`. */
export function localPath(next: unknown): string {
  if (typeof next !== 'string') return '/';
  try {
    const url = new URL(next, window.location.origin);
    const local = url.origin === window.location.origin && /^\/(?![/\\])/.test(next);
    return local ? `${url.pathname}${url.search}` : '/';
  } catch {
    return '/';
  }
}
