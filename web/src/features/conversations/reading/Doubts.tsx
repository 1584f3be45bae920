import { Link } from '@tanstack/react-router';
import type { Flag, Session } from '../../../api/generated';
import { Badge } from '../../../components/Badge';
import { useFormat } from '../../../format/use-format';
import { useTexts } from '../../../texts';
import type { FlagName } from '../search';
import styles from './Reading.module.css';

/** Why a conversation is flagged; the first message at fault is a press away. */
export function Doubts({ session }: { session: Session }) {
  const { conversations } = useTexts();
  const format = useFormat();
  const { completeness } = session;
  if (completeness == null || completeness.flags.length === 0) return null;
  const cut = completeness.examined_messages < session.message_count;
  return (
    <details className={styles.doubts}>
      <summary>
        {completeness.flags.map((flag) => (
          <Badge key={flag.flag} tone="warning">
            {conversations.flags[flag.flag as FlagName]}
          </Badge>
        ))}
      </summary>
      <ul>
        {completeness.flags.map((flag) => (
          <Doubt key={flag.flag} flag={flag} sessionId={session.id} />
        ))}
      </ul>
      {cut && <p>{conversations.reading.examined(format.count(completeness.examined_messages))}</p>}
    </details>
  );
}

function Doubt({ flag, sessionId }: { flag: Flag; sessionId: string }) {
  const { conversations } = useTexts();
  const format = useFormat();
  // A flag that this page does not know yet is explained in the service's words.
  const reasons: Record<string, string | undefined> = conversations.flagReasons;
  return (
    <li>
      {reasons[flag.flag] ?? flag.reason}{' '}
      {flag.count != null && `(${conversations.messages(format.count(flag.count))}) `}
      {flag.first != null && (
        <Link
          to="/conversations/$id"
          params={{ id: sessionId }}
          search={(previous) => ({ ...previous, message: flag.first?.id })}
        >
          {conversations.reading.firstPlace}
        </Link>
      )}
    </li>
  );
}
