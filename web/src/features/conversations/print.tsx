import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useEffect, useMemo, useState } from 'react';
import type { Message, Session, Visit } from '../../api/generated';
import { queryKeys } from '../../api/keys';
import { Requires } from '../../app/Requires';
import { Button } from '../../components/Button';
import { ErrorNotice } from '../../components/Notice';
import { Skeleton } from '../../components/Skeleton';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import { eachMessagePage, fetchConversation, fetchVisits } from './api';
import styles from './Print.module.css';
import { buildRows, type Row } from './reading/rows';

/** More than this is slow to draw and hardly printed; the rest is in the downloads. */
const MOST_MESSAGES = 10_000;

/** A conversation without anything that scrolls or loads by itself, for printing. */
export default function PrintView() {
  const { id } = useParams({ from: '/shell/conversations/$id/print' });
  return (
    <Requires scope="read">
      <Print id={id} />
    </Requires>
  );
}

function Print({ id }: { id: string }) {
  const session = useQuery({
    queryKey: [...queryKeys.conversation(id), 'facts'],
    queryFn: ({ signal }) => fetchConversation(id, signal),
  });
  const visits = useQuery({
    queryKey: [...queryKeys.conversation(id), 'visits'],
    queryFn: ({ signal }) => fetchVisits(id, signal),
  });
  const messages = useAllMessages(id);
  const error = session.error ?? messages.error;
  if (error !== null) return <ErrorNotice error={error} level={1} />;
  if (session.data === undefined) return <Skeleton />;
  return <Sheet session={session.data} visits={visits.data ?? []} {...messages} />;
}

interface SheetProps {
  session: Session;
  visits: Visit[];
  messages: Message[];
  done: boolean;
}

function Sheet({ session, visits, messages, done }: SheetProps) {
  const { conversations } = useTexts();
  const format = useFormat();
  const rows = useMemo(
    () => buildRows({ messages, visits, fromStart: true, dateOf: format.localDate }),
    [messages, visits, format],
  );
  return (
    <article className={styles.sheet}>
      <nav className={styles.controls}>
        <Link to="/conversations/$id" params={{ id: session.id }}>
          {conversations.print.back}
        </Link>
        <Button
          kind="primary"
          icon="print"
          disabled={!done}
          onClick={() => {
            window.print();
          }}
        >
          {conversations.print.print}
        </Button>
        {!done && <p role="status">{conversations.print.loaded(format.count(messages.length))}</p>}
      </nav>
      <h1>
        <bdi>{session.agent_id}</bdi>
      </h1>
      <p>
        {format.dateTime(session.started_at)} ({format.zone}) ·{' '}
        {format.duration(session.duration_seconds)} ·{' '}
        {conversations.messages(format.count(session.message_count))}
      </p>
      <p>
        {conversations.reading.sessionId} <bdi>{session.session_id}</bdi>
      </p>
      {rows.map((row) => (
        <PrintRow key={row.key} row={row} />
      ))}
      {done && messages.length < session.message_count && (
        <p>{conversations.print.cut(format.count(messages.length))}</p>
      )}
    </article>
  );
}

function PrintRow({ row }: { row: Row }) {
  const { conversations } = useTexts();
  const texts = conversations.reading;
  const format = useFormat();
  switch (row.kind) {
    case 'day':
      return <h2>{format.dayName(row.at)}</h2>;
    case 'visit':
      return row.only ? null : <h3>{texts.visit(format.count(row.visit.visit))}</h3>;
    case 'gap':
      return <p className={styles.gap}>{texts.gap(format.duration(row.seconds))}</p>;
    case 'message':
      return (
        <div className={styles.message}>
          <span className={styles.time}>{format.clockTime(row.message.timestamp)}</span>
          <bdi className={styles.who}>
            {row.side === 'other' ? row.message.role : texts[row.side]}
          </bdi>
          <p dir="auto">{row.message.message}</p>
        </div>
      );
  }
}

function useAllMessages(id: string) {
  const [messages, setMessages] = useState<Message[]>([]);
  const [done, setDone] = useState(false);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    const stop = new AbortController();
    let all: Message[] = [];
    const add = (page: Message[]) => {
      all = [...all, ...page].slice(0, MOST_MESSAGES);
      setMessages(all);
      return all.length < MOST_MESSAGES;
    };
    eachMessagePage(id, stop.signal, add).then(
      () => {
        if (!stop.signal.aborted) setDone(true);
      },
      (thrown: unknown) => {
        if (!stop.signal.aborted) setError(thrown);
      },
    );
    return () => {
      stop.abort();
    };
  }, [id]);
  return { messages, done, error };
}
