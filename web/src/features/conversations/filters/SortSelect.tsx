import { useNavigate } from '@tanstack/react-router';
import { useTexts } from '../../../texts';
import { SORTS, type ConversationSearch, type SortName } from '../search';
import styles from './Filters.module.css';

/** The order of the list, beside its title. */
export function SortSelect({ value }: { value: SortName | undefined }) {
  const { filters } = useTexts().conversations;
  const navigate = useNavigate();
  return (
    <select
      aria-label={filters.sort}
      className={styles.sort}
      value={value ?? 'activity'}
      onChange={(event) => {
        const sort = event.target.value as SortName;
        const next = sort === 'activity' ? undefined : sort;
        void navigate({
          to: '.',
          search: (previous) => ({ ...previous, sort: next }) as ConversationSearch,
        });
      }}
    >
      {SORTS.map((name) => (
        <option key={name} value={name}>
          {filters.sorts[name]}
        </option>
      ))}
    </select>
  );
}
