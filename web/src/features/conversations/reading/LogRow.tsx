import { memo } from 'react';
import { useFormat } from '../../../format/use-format';
import { useTexts } from '../../../texts';
import { MessageRow } from './MessageRow';
import styles from './Reading.module.css';
import type { Row } from './rows';
import { VisitRow } from './VisitRow';

interface Props {
  row: Row;
  marked: boolean;
  /** Place of the first loaded message in the conversation; null where it is not known. */
  position: number | null;
  total: number;
}

/** A row of the log. */
export const LogRow = memo(function LogRow({ row, marked, position, total }: Props) {
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
          place={position === null ? null : position + row.index + 1}
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
});
