import { useNavigate } from '@tanstack/react-router';
import { lazy } from 'react';
import { DateRange } from '../../../components/DateRange';
import { Icon } from '../../../components/Icon';
import { Popover } from '../../../components/Popover';
import { useTexts } from '../../../texts';
import { filterCount, type ConversationSearch } from '../search';
import { Chips } from './Chips';
import styles from './Filters.module.css';
import { SearchField } from './SearchField';

// Loaded when it is opened: the first view does not need it.
const FilterPanel = lazy(() => import('./FilterPanel'));
const SavedViews = lazy(() => import('./SavedViews'));

/** Search, time, filters and saved views, all of them in the address. */
export function FilterBar({ search }: { search: ConversationSearch }) {
  const { conversations } = useTexts();
  const navigate = useNavigate();
  const count = filterCount(search);
  /** Typing replaces the entry in the history; a choice adds one. */
  const change = (next: Partial<ConversationSearch>, replace = false) => {
    void navigate({
      to: '.',
      search: (previous) => ({ ...previous, ...next }) as ConversationSearch,
      replace,
    });
  };
  return (
    <div className={styles.bar}>
      <SearchField
        value={search.q ?? ''}
        onChange={(q) => {
          change({ q: q || undefined }, true);
        }}
      />
      <div className={styles.controls}>
        <DateRange
          value={search}
          onChange={({ period, from, to }) => {
            change({ period, from, to });
          }}
        />
        <Popover
          className={styles.trigger}
          label={conversations.filters.open}
          trigger={
            <>
              <Icon name="filter" size={16} />
              {count === 0 ? conversations.filters.open : conversations.filters.count(count)}
            </>
          }
        >
          <FilterPanel search={search} onChange={change} />
        </Popover>
        <Popover
          className={styles.trigger}
          label={conversations.views.open}
          trigger={<Icon name="bookmark" size={16} />}
        >
          {(close) => <SavedViews search={search} close={close} />}
        </Popover>
      </div>
      <Chips search={search} onChange={change} />
    </div>
  );
}
