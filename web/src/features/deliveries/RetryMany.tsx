import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { planRetry, startRetry } from '../../api/jobs';
import { queryKeys } from '../../api/keys';
import { ActionError } from '../../components/ActionError';
import { Button } from '../../components/Button';
import { Dialog } from '../../components/Dialog';
import { ErrorNotice } from '../../components/Notice';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import type { DeliveryFilters } from './search';

interface Props {
  filters: DeliveryFilters;
  /** Called with the id of the job that was started. */
  onStarted: (job: string) => void;
}

/** Counts what a retry of all that match would be about, then starts it. */
export function RetryMany({ filters, onStarted }: Props) {
  const { common, deliveries } = useTexts();
  const format = useFormat();
  const [open, setOpen] = useState(false);
  const plan = useQuery({
    queryKey: queryKeys.retryPlan(filters),
    queryFn: ({ signal }) => planRetry(filters, signal),
    enabled: open,
    staleTime: 0,
    gcTime: 0,
  });
  const start = useMutation({
    mutationFn: () => startRetry(filters),
    onSuccess: (job) => {
      setOpen(false);
      onStarted(job.id);
    },
  });
  const matches = plan.isFetching ? undefined : plan.data;
  return (
    <>
      <Button
        onClick={() => {
          start.reset();
          setOpen(true);
        }}
      >
        {deliveries.retryAll}
      </Button>
      <Dialog
        open={open}
        title={deliveries.planTitle}
        onClose={() => {
          setOpen(false);
        }}
        actions={
          <>
            <Button
              onClick={() => {
                setOpen(false);
              }}
            >
              {common.cancel}
            </Button>
            {matches !== undefined && matches > 0 && (
              <Button
                kind="primary"
                busy={start.isPending}
                onClick={() => {
                  start.mutate();
                }}
              >
                {deliveries.start(format.count(matches))}
              </Button>
            )}
          </>
        }
      >
        {plan.isError ? (
          <ErrorNotice error={plan.error} onRetry={() => void plan.refetch()} level={3} />
        ) : (
          <Plan matches={matches} />
        )}
        {start.isError && <ActionError error={start.error} />}
      </Dialog>
    </>
  );
}

function Plan({ matches }: { matches: number | undefined }) {
  const { deliveries } = useTexts();
  const format = useFormat();
  if (matches === undefined) return <p role="status">{deliveries.planning}</p>;
  if (matches === 0) return <p role="status">{deliveries.planNone}</p>;
  return (
    <>
      <p role="status">
        <strong>{deliveries.planCount(format.count(matches))}</strong>
      </p>
      <p>{deliveries.planHelp}</p>
    </>
  );
}
