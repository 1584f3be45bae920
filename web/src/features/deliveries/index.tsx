import { Outlet, useNavigate, useParams } from '@tanstack/react-router';
import { Requires } from '../../app/Requires';
import { Button } from '../../components/Button';
import { ErrorNotice, Notice, StaleNotice } from '../../components/Notice';
import { Skeleton } from '../../components/Skeleton';
import { Split } from '../../components/Split';
import { useTexts } from '../../texts';
import styles from './deliveries.module.css';
import { Filters } from './Filters';
import { JobProgress } from './JobProgress';
import { List } from './List';
import { Refused } from './Refused';
import { RetryMany } from './RetryMany';
import { mayHoldQuarantined, type DeliveriesSearch, type DeliveryFilters } from './search';
import { useDeliveries, useDeliveriesSearch, useFilters } from './use-deliveries';

export { DeliveryPane } from './Pane';

export default function DeliveriesView() {
  return (
    <Requires scope="admin">
      <Deliveries />
    </Requires>
  );
}

function Deliveries() {
  const { deliveries } = useTexts();
  const { id } = useParams({ strict: false });
  return (
    <Split
      title={deliveries.title}
      detail={id !== undefined}
      list={<ListPane />}
      pane={id === undefined ? <Notice heading={deliveries.choose} /> : <Outlet />}
    />
  );
}

function ListPane() {
  const { search, change } = useDeliveriesSearch();
  const { job, ...rest } = search;
  const filters = useFilters();
  return (
    <>
      <Header search={search} filters={filters} change={change} />
      {job !== undefined && (
        <JobProgress
          key={job}
          id={job}
          onClose={() => {
            change(rest);
          }}
        />
      )}
      <Refused />
      <Content filters={filters} />
    </>
  );
}

interface HeaderProps {
  search: DeliveriesSearch;
  filters: DeliveryFilters;
  change: (search: DeliveriesSearch) => void;
}

function Header({ search, filters, change }: HeaderProps) {
  const { deliveries } = useTexts();
  const { query } = useDeliveries(filters);
  return (
    <header className={styles.header}>
      <div className={styles.titleRow}>
        <p className={styles.title} aria-hidden="true">
          {deliveries.title}
        </p>
        <div>
          {mayHoldQuarantined(search) && (
            <RetryMany
              filters={filters}
              onStarted={(job) => {
                change({ ...search, job });
              }}
            />
          )}
          <Button
            icon="retry"
            iconOnly
            kind="quiet"
            busy={query.isRefetching}
            onClick={() => void query.refetch()}
          >
            {deliveries.refresh}
          </Button>
        </div>
      </div>
      <Filters />
    </header>
  );
}

function Content({ filters }: { filters: DeliveryFilters }) {
  const { query, rows } = useDeliveries(filters);
  if (query.isPending) return <Skeleton rows={10} height={44} />;
  if (query.isError && query.data === undefined) {
    return <ErrorNotice error={query.error} onRetry={() => void query.refetch()} />;
  }
  return (
    <>
      {query.isError && <StaleNotice since={query.dataUpdatedAt} error={query.error} />}
      {rows.length === 0 ? (
        <Empty filtered={Object.keys(filters).length > 0} />
      ) : (
        <List
          rows={rows}
          hasMore={query.hasNextPage}
          loadMore={() => {
            if (!query.isFetching) void query.fetchNextPage();
          }}
        />
      )}
    </>
  );
}

function Empty({ filtered }: { filtered: boolean }) {
  const { deliveries } = useTexts();
  const navigate = useNavigate();
  return filtered ? (
    <Notice heading={deliveries.noMatch} text={deliveries.noMatchHelp}>
      <Button onClick={() => void navigate({ to: '/deliveries', search: {} })}>
        {deliveries.clearFilters}
      </Button>
    </Notice>
  ) : (
    <Notice heading={deliveries.none} text={deliveries.noneHelp}>
      <Button kind="primary" onClick={() => void navigate({ to: '/setup' })}>
        {deliveries.toSetup}
      </Button>
    </Notice>
  );
}
