import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useLayoutEffect, useRef, useState } from 'react';
import type { Session } from '../../../api/generated';
import { useTexts } from '../../../texts';
import { Announcer } from './Announcer';
import { LogRow } from './LogRow';
import styles from './Reading.module.css';
import { estimateHeight, type Row } from './rows';
import { usePresses } from './use-presses';
import type { ConversationWindow } from './use-window';
import { firstPosition, type LoadedWindow } from './window';

const LOAD_AHEAD = 30;
const END_THRESHOLD_PX = 48;

interface Props {
  loaded: ConversationWindow;
  window: LoadedWindow;
  rows: Row[];
  session: Session;
  /** The message of the permalink: it is marked. */
  message: string | undefined;
}

/** What was said: draws the rows in sight, loads both ways, follows what is live at the end only. */
export function Log({ loaded, window, rows, session, message }: Props) {
  const { common, conversations } = useTexts();
  const scroll = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(640);
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: (index) => estimateHeight(rows[index], width),
    getItemKey: (index) => rows[index]?.key ?? index,
    overscan: 10,
    anchorTo: 'end',
    // A page that was loaded is not followed, only what is said now.
    followOnAppend: window.change === 'live',
    scrollEndThreshold: END_THRESHOLD_PX,
    paddingStart: 12,
    paddingEnd: 24,
  });
  const presses = usePresses(window);
  const items = virtualizer.getVirtualItems();
  const first = items[0]?.index ?? 0;
  const last = items.at(-1)?.index ?? 0;
  const atEnd = window.after === null && virtualizer.isAtEnd(END_THRESHOLD_PX);
  const [seen, setSeen] = useState(window.arrived);
  if (atEnd && seen !== window.arrived) setSeen(window.arrived);

  useLayoutEffect(() => {
    setWidth(scroll.current?.clientWidth ?? 640);
    if (loaded.anchor.at === 'end') virtualizer.scrollToEnd();
    // The place is chosen once, when the window was opened.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);

  const target = rows.findIndex((row) => row.key === message);
  const moved = useRef(false);
  useLayoutEffect(() => {
    moved.current = false;
  }, [message]);
  useLayoutEffect(() => {
    // Rows that are added before it would take its place while the log still goes there.
    if (target >= 0 && !moved.current) virtualizer.scrollToIndex(target, { align: 'center' });
    // A new message in the address moves the log, until the reader does.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [message, target]);
  const move = () => {
    moved.current = true;
  };

  useEffect(() => {
    if (first < LOAD_AHEAD && window.before !== null) void loaded.load('before');
    if (last > rows.length - LOAD_AHEAD && window.after !== null) void loaded.load('after');
  }, [first, last, rows.length, window, loaded]);

  const toEnd = () => {
    move();
    if (window.after === null) virtualizer.scrollToEnd();
    else void loaded.open({ at: 'end' });
  };
  const position = firstPosition(window, session.message_count);
  const unseen = window.arrived - seen;
  return (
    <div className={styles.logFrame}>
      {/* It only learns that the reader scrolls. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions */}
      <div
        ref={scroll}
        className={styles.log}
        role="log"
        aria-live="off"
        aria-label={conversations.reading.log}
        onWheel={move}
        onTouchMove={move}
        onPointerDown={move}
        onKeyDown={move}
        // A region that scrolls has to be reachable by keyboard.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
      >
        <div
          role="presentation"
          onClick={presses.onClick}
          className={styles.rows}
          style={{ height: virtualizer.getTotalSize() }}
        >
          {items.map((item) => {
            const row = rows[item.index];
            return (
              row !== undefined && (
                <div
                  key={item.key}
                  ref={virtualizer.measureElement}
                  data-index={item.index}
                  className={styles.item}
                  style={{ transform: `translateY(${item.start}px)` }}
                >
                  <LogRow
                    row={row}
                    marked={row.key === message}
                    place={placeOf(row, position)}
                    total={Math.max(session.message_count, window.messages.length)}
                  />
                </div>
              )
            );
          })}
        </div>
      </div>
      {!atEnd && <ToEnd unseen={unseen} onEnd={toEnd} />}
      <Announcer count={unseen} />
      <p role="status" className="visually-hidden">
        {presses.copied ? common.copied : ''}
      </p>
    </div>
  );
}

function placeOf(row: Row, position: number | null): number | null {
  return row.kind === 'message' && position !== null ? position + row.index + 1 : null;
}

interface EndProps {
  unseen: number;
  onEnd: () => void;
}

/** Leads to the newest message, and says how many are new. */
function ToEnd({ unseen, onEnd }: EndProps) {
  const { conversations } = useTexts();
  return (
    <button type="button" className={styles.toEnd} data-new={unseen > 0} onClick={onEnd}>
      {unseen > 0 ? conversations.reading.newMessages(unseen) : conversations.reading.toEnd} ↓
    </button>
  );
}
