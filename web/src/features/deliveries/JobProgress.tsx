import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { toApiError } from '../../api/error';
import { cancelJob, fetchJob, isOpen, type Job } from '../../api/jobs';
import { queryKeys } from '../../api/keys';
import { Button } from '../../components/Button';
import { errorTexts } from '../../components/Notice';
import { useFormat, type Format } from '../../format/use-format';
import { useTexts, type Texts } from '../../texts';
import layout from '../../components/layout.module.css';
import styles from './deliveries.module.css';

const POLL_MS = 500;

/** The progress of a retry, with a button to cancel it; it survives a reload by its place in the address. */
export function JobProgress({ id, onClose }: { id: string; onClose: () => void }) {
  const texts = useTexts();
  const { deliveries } = texts;
  const format = useFormat();
  const client = useQueryClient();
  const query = useQuery({
    queryKey: queryKeys.job(id),
    queryFn: ({ signal }) => fetchJob(id, signal),
    refetchInterval: ({ state }) => (isOpen(state.data) && !isGone(state.error) ? POLL_MS : false),
  });
  const cancel = useMutation({
    mutationFn: () => cancelJob(id),
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.job(id) }),
  });
  const job = query.data;
  const over = !isOpen(job);
  useEffect(() => {
    if (over) void client.invalidateQueries({ queryKey: queryKeys.deliveries });
  }, [client, over]);

  const failed = query.isError && job === undefined;
  const running = !failed && !over;
  return (
    <section className={styles.job} aria-label={deliveries.job}>
      {running && (
        <progress
          aria-label={deliveries.job}
          max={job?.total ?? 1}
          value={job?.total ? job.done : undefined}
        />
      )}
      <div className={styles.jobText}>
        <p role="status">
          {failed ? failureText(query.error, texts) : jobText(job, deliveries, format)}
        </p>
        {job?.last_error && (
          <p className={layout.muted}>{deliveries.jobLastError(job.last_error)}</p>
        )}
      </div>
      {running ? (
        <Button
          busy={cancel.isPending}
          onClick={() => {
            cancel.mutate();
          }}
        >
          {deliveries.cancelJob}
        </Button>
      ) : (
        <Button kind="quiet" icon="close" iconOnly onClick={onClose}>
          {deliveries.dismiss}
        </Button>
      )}
      {cancel.isError && <p role="alert">{errorTexts(toApiError(cancel.error), texts).text}</p>}
    </section>
  );
}

function failureText(error: unknown, texts: Texts): string {
  return isGone(error) ? texts.deliveries.jobGone : errorTexts(toApiError(error), texts).text;
}

function isGone(error: unknown): boolean {
  return error !== null && toApiError(error).code === 'not_found';
}

function jobText(job: Job | undefined, texts: Texts['deliveries'], format: Format): string {
  if (job === undefined) return texts.jobWaiting;
  const done = format.count(job.done);
  switch (job.state) {
    case 'waiting':
      return texts.jobWaiting;
    case 'running':
      return job.total == null
        ? texts.jobCounting
        : texts.jobRunning(done, format.count(job.total));
    case 'finished':
      return texts.jobFinished(format.count(job.stored), format.count(job.still_quarantined));
    case 'cancelled':
      return texts.jobCancelled(done);
  }
}
