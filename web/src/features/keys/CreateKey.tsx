import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { postKeys } from '../../api/generated';
import { queryKeys } from '../../api/keys';
import { Button } from '../../components/Button';
import { CopyButton } from '../../components/CopyButton';
import { Dialog } from '../../components/Dialog';
import { useTexts } from '../../texts';
import { newKey, type KeyForm } from './form';
import { KeyFields } from './KeyFields';
import styles from './keys.module.css';

/** A button and the dialog that creates a key, then shows it once. */
export function CreateKey() {
  const { keys } = useTexts();
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const create = useMutation({
    mutationFn: async (form: KeyForm) => (await postKeys({ body: newKey(form) })).data,
    onSuccess: () => client.invalidateQueries({ queryKey: queryKeys.keys }),
    // The key must not stay in memory after the dialog.
    gcTime: 0,
  });
  const close = () => {
    setOpen(false);
    create.reset();
  };
  const made = create.data;
  return (
    <>
      <Button
        kind="primary"
        icon="plus"
        onClick={() => {
          setOpen(true);
        }}
      >
        {keys.create}
      </Button>
      <Dialog open={open} title={made === undefined ? keys.create : keys.madeTitle} onClose={close}>
        {made === undefined ? (
          <KeyFields
            busy={create.isPending}
            error={create.error}
            onCancel={close}
            onSubmit={(form) => {
              create.mutate(form);
            }}
          />
        ) : (
          <MadeKey value={made.key} onDone={close} />
        )}
      </Dialog>
    </>
  );
}

function MadeKey({ value, onDone }: { value: string; onDone: () => void }) {
  const { keys } = useTexts();
  const address = `${window.location.origin}/sign-in`;
  return (
    <div className={styles.form}>
      <p role="status">{keys.madeHelp}</p>
      <p className={styles.made}>
        <code aria-label={keys.key}>{value}</code>
        <CopyButton text={value} label={keys.copyKey} />
      </p>
      <p>{keys.signInHelp}</p>
      <p className={styles.made}>
        <code>{address}</code>
        <CopyButton text={address} label={keys.copyAddress} />
      </p>
      <div className={styles.actions}>
        <Button kind="primary" onClick={onDone}>
          {keys.done}
        </Button>
      </div>
    </div>
  );
}
