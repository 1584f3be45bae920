import { ApiError } from '../../api/error';
import { ActionError } from '../../components/ActionError';
import { Button } from '../../components/Button';
import { ErrorNotice, Notice, StaleNotice } from '../../components/Notice';
import { Skeleton } from '../../components/Skeleton';
import { useNow } from '../../format/use-now';
import { useTexts } from '../../texts';
import { Section } from './Section';

const REQUEST_ID = '01a22ed9-bf03-7026-a4d2-98f07fcf1f48';
const MINUTE_MS = 60_000;
const nothing = () => undefined;

/** Empty, no rights, errors, database away, stale, loading. */
export function States() {
  const { common, gallery, states } = useTexts();
  const now = useNow(MINUTE_MS);
  const errors = [
    new ApiError(0, 'network', 'Failed to fetch'),
    new ApiError(503, 'unavailable', 'The database does not answer.', REQUEST_ID),
    new ApiError(404, 'not_found', 'There is no such delivery, or not any more.', REQUEST_ID),
    new ApiError(403, 'forbidden', 'The key lacks the scope admin.', REQUEST_ID),
    new ApiError(429, 'rate_limited', 'Too many requests.', REQUEST_ID),
    new ApiError(500, 'internal', 'An error of the service; the log has it.', REQUEST_ID),
  ];
  return (
    <>
      <Section title={gallery.notices}>
        <Notice heading={gallery.emptyHeading} text={gallery.emptyText} level={3}>
          <Button kind="primary">{common.retry}</Button>
        </Notice>
        <Notice heading={states.noRights} text={states.noRightsHelp('admin')} level={3} />
        {errors.map((error) => (
          <ErrorNotice key={error.code} error={error} onRetry={nothing} level={3} />
        ))}
        <ActionError error={errors[5]} />
        <StaleNotice since={now - 2 * MINUTE_MS} error={errors[0]} />
      </Section>
      <Section title={gallery.loading}>
        <Skeleton rows={3} />
      </Section>
    </>
  );
}
