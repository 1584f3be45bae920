import { Link } from '@tanstack/react-router';
import type { Continuation, Session } from '../../../api/generated';
import { useFormat } from '../../../format/use-format';
import { useTexts } from '../../../texts';
import styles from './Reading.module.css';

/** Links to the conversations that this one seems to go on from, and that seem to go on from it. */
export function Links({ session }: { session: Session }) {
  const { conversations } = useTexts();
  const texts = conversations.reading;
  const { continues, continued_by: continuedBy } = session;
  return (
    <>
      {continues != null && <LinkTo label={texts.continues} to={continues} />}
      {continuedBy?.map((one) => (
        <LinkTo key={one.id} label={texts.continuedBy} to={one} />
      ))}
    </>
  );
}

function LinkTo({ label, to }: { label: string; to: Continuation }) {
  const { conversations } = useTexts();
  const format = useFormat();
  return (
    <p className={styles.related}>
      {label}{' '}
      <Link
        to="/conversations/$id"
        params={{ id: to.id }}
        search={(previous) => ({ ...previous, message: undefined })}
        title={to.reason}
      >
        <bdi>{to.session_id}</bdi>
      </Link>{' '}
      <span title={to.reason}>
        ({conversations.reading.confidence(format.percent(to.confidence, 0))})
      </span>
    </p>
  );
}
