import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import type { Summary } from '../../api/generated';
import styles from './overview.module.css';
import { useNow } from './use-now';

/** Figures that are this far behind are said to be. */
const LAG_SECONDS = 60;
/** The age of figures that could not be renewed is told anew this often. */
const AGE_MS = 10_000;

interface Props {
  summary: Summary;
  checkedAt: number;
  /** The figures could not be brought up to date. */
  failed: boolean;
}

/** How current the figures are, in the words of the page's clock. */
export function Freshness({ summary, checkedAt, failed }: Props) {
  const { overview } = useTexts();
  const format = useFormat();
  const lag = lagSeconds(summary);
  return (
    <p className={styles.fresh}>
      {summary.complete_until == null ? (
        overview.recomputing
      ) : (
        <time dateTime={summary.complete_until} title={format.exactTime(summary.complete_until)}>
          {overview.upTo(format.clockTime(summary.complete_until))}
        </time>
      )}
      {` · ${overview.checked(format.clockTime(checkedAt))} · ${format.zone}`}
      {lag > LAG_SECONDS && (
        <strong className={styles.lag}> {overview.behind(format.duration(lag))}</strong>
      )}
      {failed && <Age since={checkedAt} />}
    </p>
  );
}

function Age({ since }: { since: number }) {
  const { states } = useTexts();
  const format = useFormat();
  const now = Math.max(since, useNow(AGE_MS));
  return <strong className={styles.lag}> {states.stale(format.relativeTime(since, now))}</strong>;
}

/** Returns how far the figures were behind what had arrived when the service answered. */
function lagSeconds({ as_of, complete_until }: Summary): number {
  return complete_until == null ? 0 : (Date.parse(as_of) - Date.parse(complete_until)) / 1000;
}
