import { addDays } from '../../components/DateRange/range';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import { useSummary, useTimeseries } from '../overview/api';
import { spansOf, type Bucket } from '../overview/buckets';
import { currentSpan, wallTick } from './ticks';
import { findFigure } from '../overview/figures';
import { numberIn, type AnalyticsQuery, type Row } from '../overview/query';
import { useNow } from '../overview/use-now';
import { Bars } from './Bars';
import { BigFigure } from './BigFigure';
import styles from './wall.module.css';

const CLOCK_MS = 1_000;
const DAYS = 14;
/** Figures without an answer for this long are marked. */
const STALE_MS = 90_000;
const FIGURES = [
  ['sessions', 'count'],
  ['visits', 'count'],
  ['messages', 'count'],
  ['engagement_rate', 'ratio'],
  ['reply_gap', 'p50'],
  ['concurrent_sessions', 'max'],
] as const;

/** The figures of today and of the last days, brought up to date by itself. */
export function Wall() {
  const { wall } = useTexts();
  const format = useFormat();
  const now = useNow(CLOCK_MS);
  const today: AnalyticsQuery = { period: 'today', tz: format.zone };
  const lately: AnalyticsQuery = {
    from: addDays(format.localDate(now), 1 - DAYS),
    tz: format.zone,
  };
  const summary = useSummary(today, 'previous');
  const hours = useTimeseries({ query: today, metrics: ['sessions'], bucket: 'hour' });
  const days = useTimeseries({ query: lately, metrics: ['sessions'], bucket: 'day' });
  const stale = summary.data !== undefined && now - summary.dataUpdatedAt > STALE_MS;
  return (
    <main className={styles.wall}>
      <header className={styles.header}>
        <h1>{wall.today}</h1>
        <p>{format.dayName(now)}</p>
        <p className={styles.clock}>
          <time>{format.clockMinute(now)}</time> <small>{format.zone}</small>
        </p>
      </header>
      <dl className={styles.figures}>
        {FIGURES.map(([metric, stat]) => (
          <BigFigure
            key={metric}
            metric={metric}
            figure={findFigure(summary.data?.data ?? [], metric, stat)}
          />
        ))}
      </dl>
      <section className={styles.charts}>
        <SessionBars title={wall.perHour} loaded={hours.data} now={now} />
        <SessionBars title={wall.perDay} loaded={days.data} now={now} />
      </section>
      <footer className={styles.footer}>
        <p>{wall.compared}</p>
        {summary.data === undefined && <p role="status">{wall.waiting}</p>}
        {summary.data !== undefined &&
          (stale ? (
            <p role="status" className={styles.stale}>
              {wall.away(format.relativeTime(summary.dataUpdatedAt, now))}
            </p>
          ) : (
            <p>{wall.updated(format.clockTime(summary.dataUpdatedAt))}</p>
          ))}
      </footer>
    </main>
  );
}

interface SessionBarsProps {
  title: string;
  loaded: { data: Row[]; bucket: Bucket } | undefined;
  now: number;
}

function SessionBars({ title, loaded, now }: SessionBarsProps) {
  const { language, zone, count } = useFormat();
  const { wall } = useTexts();
  const rows = loaded?.data ?? [];
  const spans = spansOf(rows);
  const current = currentSpan(spans, now);
  return (
    <Bars
      title={title}
      none={wall.none}
      format={count}
      bars={spans.map((span, index) => ({
        key: span.start,
        tick: wallTick(span, loaded?.bucket ?? 'day', index, { language, zone }),
        value: numberIn(rows[index], 'sessions') ?? 0,
        here: index === current,
      }))}
    />
  );
}
