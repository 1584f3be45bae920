import { memo } from 'react';
import type { SearchMatch } from '../../../api/generated';
import { Time } from '../../../components/Time';
import { useTexts } from '../../../texts';
import { sideOf } from '../reading/rows';
import styles from './List.module.css';
import { RowLink } from './RowLink';

interface Props {
  match: SearchMatch;
  current: boolean;
}

/** A message that was found, with what was searched for marked. */
export const MatchRow = memo(function MatchRow({ match, current }: Props) {
  const { conversations } = useTexts();
  const { message, session, highlights, excerpt } = match;
  const side = sideOf(message);
  const cutBefore = excerpt && (highlights[0]?.start ?? 0) > 0;
  return (
    <RowLink id={session.id} message={message.id} current={current}>
      <span className={styles.found} dir="auto">
        {cutBefore && '… '}
        {highlights.map((piece) =>
          piece.hit ? (
            <mark key={piece.start}>{piece.text}</mark>
          ) : (
            <span key={piece.start}>{piece.text}</span>
          ),
        )}
        {excerpt && ' …'}
      </span>
      <span className={styles.bottom}>
        <span>{side === 'other' ? message.role : conversations.reading[side]}</span>
        <bdi className={styles.agent}>{session.agent_id}</bdi>
        <span className={styles.figures}>
          <Time value={message.timestamp} />
        </span>
      </span>
    </RowLink>
  );
});
