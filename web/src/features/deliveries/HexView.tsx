import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef, useState, type RefObject } from 'react';
import { useTexts } from '../../texts';
import { hexRow, hexRowCount } from './body';
import styles from './deliveries.module.css';

const ROW_PX = 20;
const PADDING_PX = 8;
/** A row of 16 bytes is 75 characters; where there is no room for it, a row has 8. */
const WIDE_FROM_PX = 640;

/** Offset, bytes in hexadecimal and printable ASCII, row by row; only rows in sight are drawn. */
export function HexView({ bytes }: { bytes: Uint8Array }) {
  const { deliveries } = useTexts();
  const scroller = useRef<HTMLDivElement>(null);
  const width = useRowBytes(scroller);
  const count = hexRowCount(bytes, width);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    paddingStart: PADDING_PX,
    paddingEnd: PADDING_PX,
    overscan: 10,
  });
  return (
    // A region that scrolls has to be reachable by keyboard.
    <div
      ref={scroller}
      className={styles.hexScroller}
      // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
      tabIndex={0}
      role="region"
      aria-label={deliveries.hexTable}
    >
      <div className={styles.hexRows} style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const row = hexRow(bytes, item.index, width);
          return (
            <div
              key={item.key}
              className={styles.hexRow}
              style={{ transform: `translateY(${item.start}px)` }}
            >
              <span className={styles.offset}>{row.offset}</span>
              <span>{row.hex.padEnd(width * 3 - 1)}</span>
              <span>{row.ascii}</span>
            </div>
          );
        })}
      </div>
    </div>
  );
}

function useRowBytes(element: RefObject<HTMLElement | null>): number {
  const [wide, setWide] = useState(true);
  useEffect(() => {
    if (element.current === null) return;
    const observer = new ResizeObserver(([entry]) => {
      if (entry !== undefined) setWide(entry.contentRect.width >= WIDE_FROM_PX);
    });
    observer.observe(element.current);
    return () => {
      observer.disconnect();
    };
  }, [element]);
  return wide ? 16 : 8;
}
