import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { toApiError } from '../../api/error';
import { cancelJob, fetchJob, type Job } from '../../api/jobs';
import { queryKeys } from '../../api/keys';
import { Button } from '../../components/Button';
import { errorTexts } from '../../components/Notice';
import { useFormat, type Format } from '../../format/use-format';
import { useTexts, type Texts } from '../../texts';
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
    refetchInterval: ({ state }) =>
      state.data === undefined || state.data.state === 'running' ? POLL_MS : false,
  });
  const cancel = useMutation({
    mutationFn: () => cancelJob(id),
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.job(id) }),
  });
  const job = query.data;
  const state = job?.state;
  useEffect(() => {
    if (state !== undefined && state !== 'running') {
      void client.invalidateQueries({ queryKey: queryKeys.deliveries });
    }
  }, [client, state]);

  const failed = query.isError && job === undefined;
  const running = !failed && (state === undefined || state === 'running');
  return (
    <section className={styles.job} aria-label={deliveries.job}>
      {running && (
        <progress
          aria-label={deliveries.job}
          max={job?.total ?? 1}
          value={job?.total ? job.done : undefined}
        />
      )}
      <p role="status">
        {failed ? failureText(query.error, texts) : jobText(job, deliveries, format)}
      </p>
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
  const known = toApiError(error);
  return known.code === 'not_found' ? texts.deliveries.jobGone : errorTexts(known, texts).text;
}

function jobText(job: Job | undefined, texts: Texts['deliveries'], format: Format): string {
  if (job === undefined || job.total === null) return texts.jobCounting;
  const done = format.count(job.done);
  switch (job.state) {
    case 'running':
      return texts.jobRunning(done, format.count(job.total));
    case 'finished':
      return texts.jobFinished(format.count(job.stored), format.count(job.still_quarantined));
    case 'cancelled':
      return texts.jobCancelled(done);
    case 'failed':
      return [texts.jobFailed(done), job.last_error].filter(Boolean).join(' ');
  }
}
