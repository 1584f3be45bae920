import type { Key } from '../../api/generated';

export type KeyState = 'active' | 'expired' | 'revoked';

/** Returns whether a key is valid at `now`. */
export function keyState({ revoked_at, expires_at }: Key, now: number): KeyState {
  if (revoked_at) return 'revoked';
  return expires_at && Date.parse(expires_at) <= now ? 'expired' : 'active';
}
