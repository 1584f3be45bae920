import { useEffect, useMemo, useRef, useState } from 'react';
import type { Message, Session, Visit } from '../../../api/generated';
import { useCommand } from '../../../app/commands';
import { ErrorNotice, Notice } from '../../../components/Notice';
import { Skeleton } from '../../../components/Skeleton';
import { useFormat } from '../../../format/use-format';
import { useLiveEvents } from '../../../live/use-live';
import { useTexts } from '../../../texts';
import { FindContext } from './find';
import { FindBar } from './FindBar';
import { Header } from './Header';
import { Log } from './Log';
import styles from './Reading.module.css';
import { buildRows } from './rows';
import { useWindow } from './use-window';
import type { Anchor } from './window';

interface Props {
  session: Session;
  visits: Visit[];
  /** The message of the permalink. */
  message: string | undefined;
}

/** The header and the log of a conversation, with live messages added as they come. */
export function Conversation({ session, visits, message }: Props) {
  const { conversations } = useTexts();
  const format = useFormat();
  const loaded = useWindow(session.id, anchorFor(session, message));
  const [finding, setFinding] = useState(false);
  const [needle, setNeedle] = useState('');
  const [missed, setMissed] = useState(false);
  useJump(loaded, message);
  useCommand('find', () => {
    setFinding(true);
  });
  useLiveEvents((event) => {
    if (event.type === 'message' && isOf(event.message, session)) loaded.receive(event.message);
    if (event.type === 'gap') {
      setMissed(true);
      void loaded.open({ at: 'end' });
    }
  });
  const { window } = loaded;
  const rows = useMemo(
    () =>
      buildRows({
        messages: window?.messages ?? [],
        visits,
        fromStart: window?.before === null,
        dateOf: format.localDate,
      }),
    [window?.messages, window?.before, visits, format],
  );
  return (
    <div
      className={styles.conversation}
      onKeyDownCapture={(event) => {
        if ((event.ctrlKey || event.metaKey) && event.key === 'f' && !finding) {
          event.preventDefault();
          setFinding(true);
        }
      }}
    >
      <Header
        session={session}
        onFind={() => {
          setFinding(true);
        }}
      />
      {finding && (
        <FindBar
          sessionId={session.id}
          loaded={loaded}
          text={needle}
          onText={setNeedle}
          onClose={() => {
            setFinding(false);
          }}
        />
      )}
      {loaded.missing && (
        <p role="status" className={styles.strip}>
          {conversations.reading.messageGone}
        </p>
      )}
      {missed && (
        <p role="status" className={styles.strip}>
          {conversations.reading.gapReloaded}
        </p>
      )}
      <FindContext value={finding ? needle.trim() : ''}>
        <Body loaded={loaded} rows={rows} session={session} message={message} />
      </FindContext>
    </div>
  );
}

/** A message of the stream, with our ID of its session. */
type LiveMessage = Message & { session?: string | null };

interface BodyProps {
  loaded: ReturnType<typeof useWindow>;
  rows: ReturnType<typeof buildRows>;
  session: Session;
  message: string | undefined;
}

function Body({ loaded, rows, session, message }: BodyProps) {
  const { conversations } = useTexts();
  if (loaded.window === null) {
    return loaded.error === null ? (
      <Skeleton rows={8} height={36} />
    ) : (
      <ErrorNotice error={loaded.error} onRetry={() => void loaded.open(loaded.anchor)} />
    );
  }
  if (rows.length === 0) {
    const { nobody, nobodyHelp } = conversations.reading;
    return <Notice heading={nobody} text={nobodyHelp} level={3} />;
  }
  return (
    <Log
      key={loaded.opened}
      loaded={loaded}
      window={loaded.window}
      rows={rows}
      session={session}
      message={message}
    />
  );
}

/** A permalink opens at its message, a conversation that goes on at its end, any other at its start. */
function anchorFor(session: Session, message: string | undefined): Anchor {
  if (message !== undefined) return { at: 'message', id: message };
  return { at: session.status === 'live' ? 'end' : 'start' };
}

/** Opens the window at the message of the address where it is not loaded. */
function useJump(loaded: ReturnType<typeof useWindow>, message: string | undefined): void {
  const asked = useRef(message);
  const { window, open } = loaded;
  const isLoaded = window?.messages.some((one) => one.id === message) === true;
  useEffect(() => {
    if (message === asked.current) return;
    asked.current = message;
    if (message !== undefined && !isLoaded) void open({ at: 'message', id: message });
  }, [message, isLoaded, open]);
}

function isOf(message: LiveMessage, session: Session): boolean {
  if (message.session != null) return message.session === session.id;
  return message.session_id === session.session_id && message.agent_id === session.agent_id;
}
