import { Link } from '@tanstack/react-router';
import type { Session } from '../../../api/generated';
import { StatusDot } from '../../../components/Badge';
import { Button } from '../../../components/Button';
import { Icon } from '../../../components/Icon';
import { Time } from '../../../components/Time';
import { useFormat } from '../../../format/use-format';
import { useTexts } from '../../../texts';
import { STATUS_TONES } from '../list/SessionRow';
import { Actions } from './Actions';
import { Doubts } from './Doubts';
import { Links } from './Links';
import styles from './Reading.module.css';

/** Agent, room, times and figures of a conversation, what is doubtful about it, what belongs to it. */
export function Header({ session, onFind }: { session: Session; onFind: () => void }) {
  const { conversations } = useTexts();
  const texts = conversations.reading;
  return (
    <header className={styles.header}>
      <div className={styles.headerTop}>
        <Link
          to="/conversations"
          search={(previous) => ({ ...previous, message: undefined })}
          className={styles.back}
          aria-label={conversations.back}
        >
          <Icon name="back" />
        </Link>
        <h2 className={styles.agent}>
          <bdi>{session.agent_id}</bdi>
        </h2>
        <span className={styles.status}>
          <StatusDot
            tone={STATUS_TONES[session.status] ?? 'neutral'}
            label={conversations.status[session.status]}
          />
        </span>
        <span className={styles.headerActions}>
          <Button kind="quiet" icon="search" iconOnly onClick={onFind}>
            {texts.find}
          </Button>
          <Actions session={session} />
        </span>
      </div>
      <Facts session={session} />
      <Links session={session} />
      <Doubts session={session} />
    </header>
  );
}

function Facts({ session }: { session: Session }) {
  const { conversations } = useTexts();
  const texts = conversations.reading;
  const format = useFormat();
  const opened = session.opened_by as keyof typeof conversations.openedBy | null | undefined;
  const reason = session.end_reason === 'silence' ? texts.silence : session.end_reason;
  const rows: [string, React.ReactNode][] = [
    [
      texts.started,
      <span key="start">
        <Time value={session.started_at} shape="full" /> <span>({format.zone})</span>
      </span>,
    ],
    [texts.duration, format.duration(session.duration_seconds)],
    [
      conversations.messagesLabel,
      `${format.count(session.message_count)} (${texts.sides(
        format.count(session.user_message_count),
        format.count(session.assistant_message_count),
      )})`,
    ],
    [texts.room, session.room_name],
    [texts.source, session.source],
    [texts.openedBy, opened == null ? null : conversations.openedBy[opened]],
    [texts.ended, reason],
    [texts.sessionId, session.session_id],
  ];
  return (
    <dl className={styles.facts}>
      {rows
        .filter(([, value]) => value != null)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <bdi>{value}</bdi>
            </dd>
          </div>
        ))}
    </dl>
  );
}
