import { useNavigate, useParams } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef } from 'react';
import type { Delivery } from '../../api/generated';
import { useCommand } from '../../app/commands';
import { useTexts } from '../../texts';
import styles from './deliveries.module.css';
import { Row } from './Row';
import { useDeliveriesSearch } from './use-deliveries';

const ROW_PX = 58;
/** The next page is loaded when so many rows are left below. */
const AHEAD_ROWS = 20;

interface Props {
  rows: Delivery[];
  hasMore: boolean;
  loadMore: () => void;
}

/** The rows that are in sight, of a list that grows as it is scrolled. */
export function List({ rows, hasMore, loadMore }: Props) {
  const { deliveries } = useTexts();
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    getItemKey: (index) => rows[index]?.id ?? index,
    overscan: 8,
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && last >= rows.length - AHEAD_ROWS) loadMore();
  }, [hasMore, last, rows.length, loadMore]);
  useSelectionKeys(rows, (index) => {
    virtual.scrollToIndex(index);
  });

  return (
    <div ref={scroller} className={styles.scroller}>
      <ul
        aria-label={deliveries.list}
        className={styles.rows}
        style={{ height: virtual.getTotalSize() }}
      >
        {items.map((item) => {
          const delivery = rows[item.index];
          return (
            <li
              key={item.key}
              aria-setsize={hasMore ? -1 : rows.length}
              aria-posinset={item.index + 1}
              style={{ height: ROW_PX, transform: `translateY(${item.start}px)` }}
            >
              {delivery !== undefined && <Row delivery={delivery} />}
            </li>
          );
        })}
      </ul>
      <p className={styles.foot} role="status">
        {hasMore ? deliveries.loadMore : deliveries.end}
      </p>
    </div>
  );
}

/** `j` and `k` choose the next and the previous delivery, Escape leads back to the list. */
function useSelectionKeys(rows: Delivery[], reveal: (index: number) => void): void {
  const { id } = useParams({ strict: false });
  const { search } = useDeliveriesSearch();
  const navigate = useNavigate();
  const move = (by: 1 | -1) => {
    const current = rows.findIndex((one) => one.id === id);
    const index = current === -1 ? 0 : current + by;
    const next = rows[index];
    if (next === undefined) return;
    reveal(index);
    void navigate({ to: '/deliveries/$id', params: { id: next.id }, search, replace: true });
  };
  useCommand('next', () => {
    move(1);
  });
  useCommand('previous', () => {
    move(-1);
  });
  useCommand('back', () => {
    if (id !== undefined) void navigate({ to: '/deliveries', search });
  });
}
