import { memo } from 'react';
import { useFormat } from '../../../format/use-format';
import { useTexts } from '../../../texts';
import { MessageRow } from './MessageRow';
import styles from './Reading.module.css';
import { isSameRow, type Row } from './rows';
import { VisitRow } from './VisitRow';

interface Props {
  row: Row;
  marked: boolean;
  /** Place of the message in the conversation; null where it is not known. */
  place: number | null;
  total: number;
}

/** A row of the log. A page that was loaded makes all rows anew, so they are compared by content. */
export const LogRow = memo(function LogRow({ row, marked, place, total }: Props) {
  const format = useFormat();
  const { conversations } = useTexts();
  switch (row.kind) {
    case 'message':
      return (
        <MessageRow
          message={row.message}
          side={row.side}
          turnStart={row.turnStart}
          marked={marked}
          place={place}
          total={total}
        />
      );
    case 'day':
      return <h3 className={styles.day}>{format.dayName(row.at)}</h3>;
    case 'visit':
      return <VisitRow visit={row.visit} only={row.only} />;
    case 'gap':
      return (
        <p className={styles.gap}>{conversations.reading.gap(format.duration(row.seconds))}</p>
      );
  }
}, isSame);

function isSame(before: Props, after: Props): boolean {
  const { marked, place, total } = after;
  const same = before.marked === marked && before.place === place && before.total === total;
  return same && isSameRow(before.row, after.row);
}
