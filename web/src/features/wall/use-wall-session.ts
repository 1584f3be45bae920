import { useEffect, useRef, useState } from 'react';
import { signIn } from '../../api/browser-session';
import { toApiError } from '../../api/error';
import { useSession } from '../../app/session';
import { useSettings } from '../../app/settings';
import { parseWallHash } from './link';

export type WallState = 'signing-in' | 'waiting' | 'invalid' | 'ready';

/** A service that is away is tried again after this long. */
const RETRY_MS = 15_000;

/**
 * Signs in with the key of the link, and again whenever the session ends before the key does. The key
 * stays in memory alone: it is taken out of the address, which a photo of the screen would show.
 */
export function useWallSession(): WallState {
  const { session, loading, error, can, refresh } = useSession();
  const { change } = useSettings();
  const [link] = useState(() => parseWallHash(window.location.hash));
  const [tried, setTried] = useState<'no' | 'busy' | 'away' | 'refused' | 'done'>('no');
  const running = useRef(false);
  const wanted = link !== null && tried !== 'refused' && (tried === 'no' || session === null);

  useEffect(() => {
    if (link === null) return;
    window.history.replaceState(window.history.state, '', '/wall');
    if (link.zone !== null) change({ zone: link.zone });
    // The link is read once.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [link]);

  useEffect(() => {
    if (!wanted || link === null) return;
    const attempt = async () => {
      if (running.current) return;
      running.current = true;
      try {
        await signIn({ key: link.key });
        await refresh();
        setTried('done');
      } catch (thrown) {
        setTried(toApiError(thrown).transient ? 'away' : 'refused');
      } finally {
        running.current = false;
      }
    };
    void attempt();
    const timer = setInterval(() => void attempt(), RETRY_MS);
    return () => {
      clearInterval(timer);
    };
  }, [wanted, link, refresh]);

  if (tried === 'refused') return 'invalid';
  if (session !== null && (link === null || tried === 'done')) {
    return can('analytics') ? 'ready' : 'invalid';
  }
  if (link !== null) return tried === 'away' ? 'waiting' : 'signing-in';
  if (loading) return 'signing-in';
  return error === null ? 'invalid' : 'waiting';
}
