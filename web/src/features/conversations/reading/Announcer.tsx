import { useEffect, useState } from 'react';
import { useTexts } from '../../../texts';

/** New messages are announced together, at most this often. */
const PAUSE_MS = 4_000;

/** Tells a screen reader how many messages are new, and never reads them aloud. */
export function Announcer({ count }: { count: number }) {
  const { conversations } = useTexts();
  const [announced, setAnnounced] = useState(0);
  useEffect(() => {
    const timer = setTimeout(() => {
      setAnnounced(count);
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [count]);
  return (
    <p role="status" className="visually-hidden">
      {announced > 0 ? conversations.reading.newMessages(announced) : ''}
    </p>
  );
}
