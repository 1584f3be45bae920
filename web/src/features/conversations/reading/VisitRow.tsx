import type { Visit } from '../../../api/generated';
import { Time } from '../../../components/Time';
import { useFormat } from '../../../format/use-format';
import { useTexts } from '../../../texts';
import styles from './Reading.module.css';

/** The beginning of a visit: its number, when somebody joined, the silence before it. */
export function VisitRow({ visit, only }: { visit: Visit; only: boolean }) {
  const { conversations } = useTexts();
  const texts = conversations.reading;
  const format = useFormat();
  const silence = visit.silence_before_seconds;
  return (
    <div className={styles.visit}>
      {!only && <strong>{texts.visit(format.count(visit.visit))}</strong>}
      <span>
        {visit.opened_by === 'room.join' ? texts.joined : only ? texts.withoutJoin : null}{' '}
        <Time value={visit.started_at} shape="clock" />
      </span>
      {silence != null && <span>{texts.after(format.duration(silence))}</span>}
    </div>
  );
}
