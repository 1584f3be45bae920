import { memo } from 'react';
import { Badge, StatusDot, type Tone } from '../../../components/Badge';
import { Time } from '../../../components/Time';
import { useFormat } from '../../../format/use-format';
import { useTexts } from '../../../texts';
import type { ListedSession } from '../api';
import type { FlagName } from '../search';
import styles from './List.module.css';
import { firstUserLine } from './pages';
import { RowLink } from './RowLink';

export const STATUS_TONES: Record<string, Tone> = {
  live: 'success',
  idle: 'warning',
  ended: 'neutral',
};

interface Props {
  session: ListedSession;
  current: boolean;
}

/** A conversation in the list: first user line, agent, start, length, messages, status, flags. */
export const SessionRow = memo(function SessionRow({ session, current }: Props) {
  const { conversations } = useTexts();
  const format = useFormat();
  const line = firstUserLine(session);
  const flags = session.flags ?? session.completeness?.flags.map((flag) => flag.flag) ?? [];
  return (
    <RowLink id={session.id} current={current}>
      <span className={styles.top}>
        <bdi className={line === null ? styles.noLine : styles.line}>
          {line?.slice(0, 200) ?? conversations.noUserLine}
        </bdi>
        <Time value={session.started_at} />
      </span>
      <span className={styles.bottom}>
        <StatusDot
          tone={STATUS_TONES[session.status] ?? 'neutral'}
          label={conversations.status[session.status]}
          labelHidden={session.status === 'ended'}
        />
        <bdi className={styles.agent}>{session.agent_id}</bdi>
        {flags.map((flag) => (
          <Badge key={flag} tone="warning">
            {conversations.flags[flag as FlagName]}
          </Badge>
        ))}
        <span className={styles.figures}>
          {format.duration(session.duration_seconds)} ·{' '}
          {conversations.messagesShort(format.count(session.message_count))}
        </span>
      </span>
    </RowLink>
  );
});
