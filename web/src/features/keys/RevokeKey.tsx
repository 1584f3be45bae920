import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { deleteKeysId, type Key } from '../../api/generated';
import { queryKeys } from '../../api/keys';
import { ActionError } from '../../components/ActionError';
import { Button } from '../../components/Button';
import { Dialog } from '../../components/Dialog';
import { Checkbox } from '../../components/Field';
import { useTexts } from '../../texts';
import layout from '../../components/layout.module.css';

/** A button that revokes a key after it was confirmed. */
export function RevokeKey({ value }: { value: Key }) {
  const { common, keys } = useTexts();
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const [keepMade, setKeepMade] = useState(false);
  const close = () => {
    setOpen(false);
  };
  const revoke = useMutation({
    mutationFn: () =>
      deleteKeysId({ path: { id: value.id }, query: keepMade ? { keep_made: true } : {} }),
    onSuccess: close,
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.keys }),
  });
  return (
    <>
      <Button
        kind="danger"
        aria-label={keys.revokeOf(value.name)}
        onClick={() => {
          revoke.reset();
          setKeepMade(false);
          setOpen(true);
        }}
      >
        {keys.revoke}
      </Button>
      <Dialog
        open={open}
        title={keys.revokeTitle(value.name)}
        onClose={close}
        actions={
          <>
            <Button onClick={close}>{common.cancel}</Button>
            <Button
              kind="danger"
              busy={revoke.isPending}
              onClick={() => {
                revoke.mutate();
              }}
            >
              {revoke.isPending ? keys.revoking : keys.revoke}
            </Button>
          </>
        }
      >
        <p>{keys.revokeHelp}</p>
        <div>
          <Checkbox label={keys.keepMade} checked={keepMade} onChange={setKeepMade} />
          <p className={layout.note}>{keys.keepMadeHelp}</p>
        </div>
        {revoke.isError && <ActionError error={revoke.error} />}
      </Dialog>
    </>
  );
}
