import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Hold } from '../../api/generated';
import { queryKeys } from '../../api/keys';
import { ActionError } from '../../components/ActionError';
import { Button } from '../../components/Button';
import { Dialog } from '../../components/Dialog';
import { useTexts } from '../../texts';
import { releaseHold } from './requests';
import { whatText } from './what';

/** A button that releases a hold after it was confirmed. */
export function ReleaseHold({ hold }: { hold: Hold }) {
  const { common, retention } = useTexts();
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const close = () => {
    setOpen(false);
  };
  const release = useMutation({
    mutationFn: () => releaseHold(hold),
    onSuccess: close,
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.holds }),
  });
  const what = whatText(hold, retention);
  return (
    <>
      <Button
        aria-label={retention.releaseOf(what)}
        onClick={() => {
          release.reset();
          setOpen(true);
        }}
      >
        {retention.release}
      </Button>
      <Dialog
        open={open}
        title={retention.releaseTitle}
        onClose={close}
        actions={
          <>
            <Button onClick={close}>{common.cancel}</Button>
            <Button
              kind="primary"
              busy={release.isPending}
              onClick={() => {
                release.mutate();
              }}
            >
              {retention.release}
            </Button>
          </>
        }
      >
        <p>
          <strong>
            <bdi>{what}</bdi> · <bdi>{hold.agent_id}</bdi>
          </strong>
        </p>
        <p>{retention.releaseHelp}</p>
        {release.isError && <ActionError error={release.error} />}
      </Dialog>
    </>
  );
}
