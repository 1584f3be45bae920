import { memo } from 'react';
import type { Message } from '../../../api/generated';
import { Badge } from '../../../components/Badge';
import { Icon } from '../../../components/Icon';
import { Time } from '../../../components/Time';
import { useFormat } from '../../../format/use-format';
import { useTexts } from '../../../texts';
import { MessageText } from './MessageText';
import styles from './Reading.module.css';
import type { Side } from './rows';

interface Props {
  message: Message;
  side: Side;
  turnStart: boolean;
  marked: boolean;
  place: number | null;
  total: number;
}

/** A message. The sides differ by position and shape: the user's is a bubble at the end. */
export const MessageRow = memo(function MessageRow(props: Props) {
  const { message, side, turnStart, marked, place, total } = props;
  const { conversations } = useTexts();
  const texts = conversations.reading;
  const format = useFormat();
  return (
    <article
      className={styles.message}
      data-side={side}
      data-turn={turnStart}
      data-marked={marked}
      aria-posinset={place ?? undefined}
      aria-setsize={place === null ? undefined : total}
    >
      {turnStart ? (
        <header className={styles.who}>
          {side === 'other' ? <bdi>{message.role}</bdi> : texts[side]}
        </header>
      ) : (
        <span className="visually-hidden">{side === 'other' ? message.role : texts[side]}</span>
      )}
      <div className={styles.line}>
        <div className={styles.bubble}>
          <MessageText text={message.message} />
          {message.altered === true && <Note label={texts.altered} help={texts.alteredHelp} />}
          {message.undated === true && <Note label={texts.undated} help={texts.undatedHelp} />}
        </div>
        <span className={styles.aside}>
          {/* Hundreds of rows come and go as one scrolls: the log handles the presses for all. */}
          <a
            href={`?message=${message.id}`}
            data-link={message.id}
            className={styles.permalink}
            aria-label={texts.linkTo(format.clockTime(message.timestamp))}
          >
            <Time value={message.timestamp} shape="clock" />
          </a>
          <button
            type="button"
            data-copy={message.id}
            className={styles.copy}
            aria-label={texts.copyMessage}
            title={texts.copyMessage}
          >
            <Icon name="copy" size={14} />
          </button>
        </span>
      </div>
    </article>
  );
});

/** A badge that explains itself when it is opened. */
function Note({ label, help }: { label: string; help: string }) {
  return (
    <details className={styles.note}>
      <summary>
        <Badge tone="warning">{label}</Badge>
      </summary>
      <p>{help}</p>
    </details>
  );
}
