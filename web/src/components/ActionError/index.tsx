import { toApiError } from '../../api/error';
import { useTexts } from '../../texts';
import { errorTexts } from '../Notice';
import styles from './ActionError.module.css';

/** Says beside a button why what it does failed, with the request ID. */
export function ActionError({ error }: { error: unknown }) {
  const texts = useTexts();
  const known = toApiError(error);
  const { heading, text } = errorTexts(known, texts);
  return (
    <div role="alert" className={styles.error}>
      <p>
        <strong>{heading === texts.states.error ? texts.common.failed : heading}.</strong> {text}
      </p>
      {known.requestId !== null && (
        <p className={styles.request}>{texts.common.requestId(known.requestId)}</p>
      )}
    </div>
  );
}
