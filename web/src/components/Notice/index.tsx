import type { ReactNode } from 'react';
import type { ApiError } from '../../api/error';
import { toApiError } from '../../api/error';
import { outageOf } from '../../api/outage';
import { useFormat } from '../../format/use-format';
import { useTexts, type Texts } from '../../texts';
import { Button } from '../Button';
import styles from './Notice.module.css';

interface Props {
  heading: string;
  text?: ReactNode;
  /** What to do next. */
  children?: ReactNode;
  level?: 1 | 2 | 3;
  tone?: 'plain' | 'danger';
}

/** A state of a whole view in words: empty, no rights, not found, an error. */
export function Notice({ heading, text, children, level = 2, tone = 'plain' }: Props) {
  const Heading = `h${level}` as const;
  return (
    <section className={styles.notice} role={tone === 'danger' ? 'alert' : undefined}>
      <Heading>{heading}</Heading>
      {text !== undefined && <p className={styles.text}>{text}</p>}
      {children}
    </section>
  );
}

/** Returns heading and help for an error, in the reader's words. */
export function errorTexts(error: ApiError, { states }: Texts): { heading: string; text: string } {
  const outage = outageOf(error);
  if (outage === 'service') return { heading: states.offline, text: states.offlineHelp };
  if (outage === 'database') {
    return { heading: states.databaseAway, text: states.databaseAwayHelp };
  }
  if (error.code === 'not_found') {
    return { heading: states.notFound, text: states.notFoundHelp };
  }
  if (error.code === 'forbidden') return { heading: states.noRights, text: error.detail };
  if (error.code === 'rate_limited') return { heading: states.error, text: states.rateLimited };
  return { heading: states.error, text: error.detail };
}

interface ErrorProps {
  error: unknown;
  onRetry?: () => void;
  level?: 1 | 2 | 3;
}

/** An error with what to do, its request ID and a button to try again. */
export function ErrorNotice({ error, onRetry, level = 2 }: ErrorProps) {
  const texts = useTexts();
  const known = toApiError(error);
  const { heading, text } = errorTexts(known, texts);
  return (
    <Notice heading={heading} text={text} level={level} tone="danger">
      {known.requestId !== null && known.code !== 'not_found' && (
        <p className={styles.request}>{texts.common.requestId(known.requestId)}</p>
      )}
      {onRetry !== undefined && known.transient && (
        <Button onClick={onRetry}>{texts.common.retry}</Button>
      )}
    </Notice>
  );
}

/** A line above data that could not be brought up to date, with its age and why. */
export function StaleNotice({ since, error }: { since: number; error: unknown }) {
  const texts = useTexts();
  const format = useFormat();
  const { heading } = errorTexts(toApiError(error), texts);
  return (
    <p role="status" className={styles.stale}>
      {texts.states.stale(format.relativeTime(since))} · {heading}
    </p>
  );
}
