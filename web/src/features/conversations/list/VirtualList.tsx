import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef, type MouseEvent, type ReactNode } from 'react';
import { Skeleton } from '../../../components/Skeleton';
import { useTexts } from '../../../texts';
import styles from './List.module.css';
import type { Target } from './use-step';

const ROW_HEIGHT = 61;
const LOAD_AHEAD = 20;
/** About what is above the list. */
const ABOVE_PX = 140;

interface Props<Item> {
  label: string;
  items: readonly Item[];
  keyOf: (item: Item) => string;
  render: (item: Item) => ReactNode;
  hasMore: boolean;
  loadingMore: boolean;
  onMore: () => void;
  endText: string;
  /** Index of the chosen item, to be kept in sight. */
  selected: number;
  /** Called for the link in a row that is pressed. */
  onOpen: (target: Target) => void;
  onTop?: (atTop: boolean) => void;
}

/** A list that draws what is in sight and loads as it is scrolled; its length is never counted. */
export function VirtualList<Item>(props: Props<Item>) {
  const { label, items, keyOf, render, hasMore, loadingMore, onMore, selected, onOpen, onTop } =
    props;
  const { common } = useTexts();
  const scroll = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_HEIGHT,
    getItemKey: (index) => {
      const item = items[index];
      return item === undefined ? index : keyOf(item);
    },
    // Rows are drawn at once, before the list has been measured.
    initialRect: { width: 0, height: window.innerHeight - ABOVE_PX },
    overscan: 6,
    useFlushSync: false,
  });
  const rows = virtualizer.getVirtualItems();
  const last = rows.at(-1)?.index ?? 0;

  useEffect(() => {
    if (hasMore && !loadingMore && last >= items.length - LOAD_AHEAD) onMore();
  }, [hasMore, loadingMore, last, items.length, onMore]);

  useEffect(() => {
    if (selected >= 0) virtualizer.scrollToIndex(selected, { align: 'auto' });
    // Only a new choice moves the list, not a new order of it.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [props.selected >= 0 ? keyOfSelected(props) : null]);

  return (
    <div
      ref={scroll}
      className={styles.scroll}
      role="presentation"
      onClick={(event) => {
        const target = pressedRow(event);
        if (target === null) return;
        event.preventDefault();
        onOpen(target);
      }}
      onScroll={(event) => onTop?.(event.currentTarget.scrollTop < ROW_HEIGHT)}
    >
      <div
        role="list"
        aria-label={label}
        className={styles.rows}
        style={{ height: virtualizer.getTotalSize() }}
      >
        {rows.map((row) => {
          const item = items[row.index];
          if (item === undefined) return null;
          return (
            <div
              key={row.key}
              ref={virtualizer.measureElement}
              data-index={row.index}
              role="listitem"
              aria-posinset={row.index + 1}
              aria-setsize={hasMore ? -1 : items.length}
              className={styles.item}
              style={{ transform: `translateY(${row.start}px)` }}
            >
              {render(item)}
            </div>
          );
        })}
      </div>
      {hasMore ? <Skeleton rows={1} height={44} /> : <p className={styles.note}>{props.endText}</p>}
      <span className="visually-hidden" role="status">
        {loadingMore ? common.loading : ''}
      </span>
    </div>
  );
}

/** Returns what the row that was pressed leads to; null where the browser is to open it elsewhere. */
function pressedRow(event: MouseEvent): Target | null {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) {
    return null;
  }
  const link = (event.target as Element).closest<HTMLElement>('[data-session]');
  const { session: id, message } = link?.dataset ?? {};
  return id === undefined ? null : { id, message };
}

function keyOfSelected<Item>({ items, keyOf, selected }: Props<Item>): string | null {
  const item = items[selected];
  return item === undefined ? null : keyOf(item);
}
