import { Sparkline } from '../../components/charts/Sparkline';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import type { Metric, SummaryFigure } from '../../api/generated';
import { ChangeText } from './ChangeText';
import { findFigure, formatValue, mainStat } from './figures';
import styles from './overview.module.css';
import { useMetricTexts } from './use-overview';

interface Props {
  metric: Metric;
  data: readonly SummaryFigure[] | undefined;
  values: readonly (number | null)[] | undefined;
  compared: boolean;
  onOpen: () => void;
}

/** A figure with its change and its shape over the range; opens its definition. */
export function Tile({ metric, data, values, compared, onOpen }: Props) {
  const { overview } = useTexts();
  const format = useFormat();
  const { label } = useMetricTexts()(metric);
  const stat = mainStat(metric);
  const name = [label, overview.statShort[stat]].filter((part) => part !== '').join(' · ');
  const figure = findFigure(data ?? [], metric.name, stat);
  if (figure === undefined) return <PendingTile label={name} compared={compared} />;
  const value = formatValue(figure.value, figure, format);
  return (
    <button
      type="button"
      className={styles.tile}
      aria-label={overview.figure.open(name, value)}
      aria-haspopup="dialog"
      onClick={onOpen}
    >
      <span className={styles.tileLabel}>{name}</span>
      <span className={styles.tileValue}>
        {value}
        <span className={styles.tileStat}>
          <More figure={figure} data={data ?? []} metric={metric} />
        </span>
      </span>
      {compared && (
        <span className={styles.tileChange}>
          <ChangeText figure={figure} />
        </span>
      )}
      <span className={styles.tileSpark}>
        {values !== undefined && <Sparkline values={values} />}
      </span>
    </button>
  );
}

/** Keeps the place of a figure that is not here yet. */
function PendingTile({ label, compared }: { label: string; compared: boolean }) {
  return (
    <div className={styles.tile} aria-busy="true">
      <span className={styles.tileLabel}>{label}</span>
      <span className={styles.tileValue}>
        <span className={styles.tilePending} />
      </span>
      {compared && <span className={styles.tileChange}>{'\u00a0'}</span>}
      <span className={styles.tileSpark} />
    </div>
  );
}

/** What stands beside a figure: the parts of a rate, or another statistic. */
function More({
  figure,
  data,
  metric,
}: {
  figure: SummaryFigure;
  data: readonly SummaryFigure[];
  metric: Metric;
}) {
  const { overview } = useTexts();
  const format = useFormat();
  if (figure.numerator != null && figure.denominator != null) {
    return overview.of(format.count(figure.numerator), format.count(figure.denominator));
  }
  const p90 = findFigure(data, metric.name, 'p90');
  if (p90 === undefined) return '';
  return `${overview.statShort.p90} ${formatValue(p90.value, p90, format)}`;
}
