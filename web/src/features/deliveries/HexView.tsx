import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef, useState, type RefObject } from 'react';
import { useTexts } from '../../texts';
import { hexRow, hexRowCount } from './body';
import styles from './deliveries.module.css';

const ROW_PX = 20;
const PADDING_PX = 8;
/** Bytes in a row, by the width from which they have room. */
const ROW_BYTES = [
  { fromPx: 640, bytes: 16 },
  { fromPx: 360, bytes: 8 },
  { fromPx: 0, bytes: 4 },
];

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
  const [bytes, setBytes] = useState(16);
  useEffect(() => {
    if (element.current === null) return;
    const observer = new ResizeObserver(([entry]) => {
      const width = entry?.contentRect.width ?? 0;
      setBytes(ROW_BYTES.find(({ fromPx }) => width >= fromPx)?.bytes ?? 4);
    });
    observer.observe(element.current);
    return () => {
      observer.disconnect();
    };
  }, [element]);
  return bytes;
}
