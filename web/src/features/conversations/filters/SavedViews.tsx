import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { toApiError } from '../../../api/error';
import { queryKeys } from '../../../api/keys';
import { parseSearch, stringifySearch } from '../../../app/search-params';
import { Button } from '../../../components/Button';
import { Field } from '../../../components/Field';
import { Icon } from '../../../components/Icon';
import { Popover } from '../../../components/Popover';
import { useTexts } from '../../../texts';
import { deleteView, fetchViews, saveView, type SavedView } from '../api';
import { parseConversationSearch, type ConversationSearch } from '../search';
import styles from './Filters.module.css';

/** Views that were saved under a name: a view is the filters of an address. */
export function SavedViews({ search }: { search: ConversationSearch }) {
  const { conversations } = useTexts();
  return (
    <Popover
      className={styles.trigger}
      label={conversations.views.open}
      trigger={<Icon name="bookmark" size={16} />}
    >
      {(close) => <ViewsPanel search={search} close={close} />}
    </Popover>
  );
}

function ViewsPanel({ search, close }: { search: ConversationSearch; close: () => void }) {
  const { conversations } = useTexts();
  const texts = conversations.views;
  const client = useQueryClient();
  const views = useQuery({
    queryKey: queryKeys.views,
    queryFn: ({ signal }) => fetchViews(signal),
  });
  const settled = { onSettled: () => client.invalidateQueries({ queryKey: queryKeys.views }) };
  const save = useMutation({ mutationFn: saveView, ...settled });
  const remove = useMutation({ mutationFn: deleteView, ...settled });
  const error = views.error ?? save.error ?? remove.error;
  return (
    <div className={styles.views}>
      {error !== null && <p role="alert">{toApiError(error).detail}</p>}
      {views.data?.length === 0 && <p>{texts.none}</p>}
      <ul>
        {views.data?.map((view) => (
          <ViewRow
            key={view.name}
            view={view}
            onOpen={close}
            onRemove={() => {
              remove.mutate(view.name);
            }}
          />
        ))}
      </ul>
      <SaveForm
        onSave={(name) => {
          save.mutate({ name, query: stringifySearch({ ...search }).slice(1) });
        }}
      />
    </div>
  );
}

interface RowProps {
  view: SavedView;
  onOpen: () => void;
  onRemove: () => void;
}

function ViewRow({ view, onOpen, onRemove }: RowProps) {
  const { conversations } = useTexts();
  const navigate = useNavigate();
  return (
    <li>
      <Button
        kind="quiet"
        onClick={() => {
          onOpen();
          const search = parseConversationSearch(parseSearch(`?${view.query}`));
          void navigate({ to: '/conversations', search });
        }}
      >
        <bdi>{view.name}</bdi>
      </Button>
      <Button kind="quiet" icon="trash" iconOnly onClick={onRemove}>
        {conversations.views.remove(view.name)}
      </Button>
    </li>
  );
}

function SaveForm({ onSave }: { onSave: (name: string) => void }) {
  const { conversations } = useTexts();
  const [name, setName] = useState('');
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onSave(name.trim());
        setName('');
      }}
    >
      <Field
        label={conversations.views.name}
        required
        maxLength={100}
        value={name}
        onChange={(event) => {
          setName(event.target.value);
        }}
      />
      <Button type="submit">{conversations.views.save}</Button>
    </form>
  );
}
