import { useState } from 'react';
import { getKeys, type Key } from '../../api/generated';
import { queryKeys } from '../../api/keys';
import { usePages } from '../../api/use-pages';
import { Requires } from '../../app/Requires';
import { Button } from '../../components/Button';
import { Checkbox } from '../../components/Field';
import { ErrorNotice, Notice, StaleNotice } from '../../components/Notice';
import { Page } from '../../components/Page';
import { Skeleton } from '../../components/Skeleton';
import { useNow } from '../../format/use-now';
import { useTexts } from '../../texts';
import { CreateKey } from './CreateKey';
import layout from '../../components/layout.module.css';
import { KeyTable } from './KeyTable';
import { keyState } from './state';

const PAGE_ROWS = 100;
const MINUTE_MS = 60_000;

export default function KeysView() {
  return (
    <Requires scope="admin">
      <Keys />
    </Requires>
  );
}

function Keys() {
  const { keys } = useTexts();
  return (
    <Page title={keys.title} actions={<CreateKey />}>
      <p className={layout.note}>{keys.help}</p>
      <Content />
    </Page>
  );
}

function Content() {
  const { keys } = useTexts();
  const { query, rows } = usePages({
    queryKey: queryKeys.keys,
    load: async (page, signal) =>
      (await getKeys({ query: { ...page, limit: PAGE_ROWS }, signal })).data,
  });
  if (query.isPending) return <Skeleton rows={6} height={32} />;
  if (query.data === undefined) {
    return <ErrorNotice error={query.error} onRetry={() => void query.refetch()} />;
  }
  return (
    <>
      {query.isError && <StaleNotice since={query.dataUpdatedAt} error={query.error} />}
      {rows.length === 0 ? (
        <Notice heading={keys.none} text={keys.noneHelp} />
      ) : (
        <KeyList rows={rows} />
      )}
      {query.hasNextPage && (
        <Button
          className={layout.start}
          busy={query.isFetchingNextPage}
          onClick={() => void query.fetchNextPage()}
        >
          {keys.more}
        </Button>
      )}
    </>
  );
}

/** Valid keys, and those that are over where they are asked for. */
function KeyList({ rows }: { rows: readonly Key[] }) {
  const { keys } = useTexts();
  const now = useNow(MINUTE_MS);
  const [all, setAll] = useState(false);
  const valid = rows.filter((key) => keyState(key, now) === 'active');
  return (
    <>
      {valid.length < rows.length && (
        <Checkbox label={keys.showEnded} checked={all} onChange={setAll} />
      )}
      {valid.length === 0 && !all ? (
        <Notice heading={keys.none} text={keys.noneHelp} />
      ) : (
        <KeyTable rows={all ? rows : valid} />
      )}
    </>
  );
}
