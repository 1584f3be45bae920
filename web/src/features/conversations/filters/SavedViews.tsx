import { useQuery, useQueryClient, useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { toApiError } from '../../../api/error';
import { queryKeys } from '../../../api/keys';
import { parseSearch } from '../../../app/search-params';
import { errorTexts } from '../../../components/Notice';
import { useTexts } from '../../../texts';
import { deleteView, fetchViews, renameView, saveView, type SavedView } from '../api';
import { parseConversationSearch, type ConversationSearch } from '../search';
import { NameForm } from './NameForm';
import styles from './Filters.module.css';
import { ViewRow } from './ViewRow';
import { queryOf } from './view-query';

interface Props {
  search: ConversationSearch;
  close: () => void;
}

/** Views that were saved under a name: a view is the filters of an address. */
export default function SavedViews({ search, close }: Props) {
  const all = useTexts();
  const texts = all.conversations.views;
  const { views, save, rename, remove, error } = useViews();
  const navigate = useNavigate();
  const now = queryOf(search);
  const names = views.data?.map((view) => view.name) ?? [];
  return (
    <div className={styles.views}>
      {error !== null && <p role="alert">{errorTexts(toApiError(error), all).text}</p>}
      {names.length === 0 && !views.isPending && <p>{texts.none}</p>}
      <ul>
        {views.data?.map((view) => (
          <ViewRow
            key={view.name}
            view={view}
            current={view.query === now}
            names={names}
            onOpen={() => {
              close();
              const filters = parseConversationSearch(parseSearch(`?${view.query}`));
              void navigate({ to: '/conversations', search: filters });
            }}
            onRename={(to) => {
              rename.mutate({ view, to });
            }}
            onRemove={() => {
              remove.mutate(view.name);
            }}
          />
        ))}
      </ul>
      {names.length > 0 && <p className={styles.note}>{texts.linkHelp}</p>}
      <NameForm
        label={texts.name}
        help={texts.help}
        submitText={(name) => (names.includes(name) ? texts.replace : texts.save)}
        onSubmit={(name) => {
          save.mutate({ name, query: now });
        }}
      />
    </div>
  );
}

function useViews() {
  const client = useQueryClient();
  const views = useQuery({
    queryKey: queryKeys.views,
    queryFn: ({ signal }) => fetchViews(signal),
  });
  const settled = { onSettled: () => client.invalidateQueries({ queryKey: queryKeys.views }) };
  const save = useMutation({ mutationFn: saveView, ...settled });
  const remove = useMutation({ mutationFn: deleteView, ...settled });
  const rename = useMutation({
    mutationFn: ({ view, to }: { view: SavedView; to: string }) => renameView(view, to),
    ...settled,
  });
  const error = save.error ?? remove.error ?? rename.error ?? views.error;
  return { views, save, rename, remove, error };
}
