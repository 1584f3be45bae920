import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import type { Receipt } from '../../api/generated';
import { queryKeys } from '../../api/keys';
import { ActionError } from '../../components/ActionError';
import { Button } from '../../components/Button';
import { Dialog } from '../../components/Dialog';
import { Field } from '../../components/Field';
import { useTexts } from '../../texts';
import { eraseTarget } from './requests';
import layout from '../../components/layout.module.css';
import { confirms, type Target } from './search';

interface Props {
  target: Target;
  onErased: (receipt: Receipt) => void;
}

/** Erases for good, after the ID was typed. */
export function EraseDialog({ target, onErased }: Props) {
  const { common, retention } = useTexts();
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState('');
  const close = () => {
    setOpen(false);
  };
  const erase = useMutation({
    mutationFn: () => eraseTarget(target),
    onSuccess: async (receipt) => {
      close();
      onErased(receipt);
      // What was erased may be in any list.
      client.removeQueries({ predicate: isAboutConversations });
      await client.invalidateQueries({ queryKey: queryKeys.erasures });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (confirms(typed, target.id)) erase.mutate();
  };
  return (
    <>
      <Button
        kind="danger"
        icon="trash"
        onClick={() => {
          erase.reset();
          setTyped('');
          setOpen(true);
        }}
      >
        {retention.erase}
      </Button>
      <Dialog open={open} title={retention.eraseTitle} onClose={close}>
        <form className={layout.form} onSubmit={submit}>
          <p>{retention.eraseHelp[target.kind]}</p>
          <Field
            label={retention.typeId(target.id)}
            value={typed}
            autoComplete="off"
            spellCheck={false}
            onChange={(event) => {
              setTyped(event.target.value);
            }}
          />
          {erase.isError && <ActionError error={erase.error} />}
          <div className={layout.actions}>
            <Button onClick={close}>{common.cancel}</Button>
            <Button
              kind="danger"
              type="submit"
              busy={erase.isPending}
              disabled={!confirms(typed, target.id)}
            >
              {erase.isPending ? retention.erasing : retention.eraseNow}
            </Button>
          </div>
        </form>
      </Dialog>
    </>
  );
}

const ABOUT_CONVERSATIONS: readonly unknown[] = [
  queryKeys.agents[0],
  queryKeys.sessions(null)[0],
  queryKeys.conversation('')[0],
  queryKeys.search(null)[0],
  queryKeys.deliveries[0],
];

function isAboutConversations({ queryKey }: { queryKey: readonly unknown[] }): boolean {
  return ABOUT_CONVERSATIONS.includes(queryKey[0]);
}
