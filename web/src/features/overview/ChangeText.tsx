import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import type { SummaryFigure } from '../../api/generated';
import { changeOf, formatValue } from './figures';
import styles from './overview.module.css';

const HUNDRED = 100;

/** How a figure changed, by sign and arrow; neither colour nor arrow says whether that is good. */
export function ChangeText({ figure }: { figure: SummaryFigure }) {
  const { overview } = useTexts();
  const format = useFormat();
  const change = changeOf(figure);
  const before = overview.change.before(formatValue(figure.previous, figure, format));
  if (change.kind === 'unknown') return '\u00a0';
  if (change.kind === 'same') return overview.change.same;
  if (change.kind === 'new') return `${overview.change.new} · ${before}`;
  const by =
    change.kind === 'points'
      ? overview.change.points(format.decimal(change.by * HUNDRED))
      : format.percent(change.by, change.by >= 1 ? 0 : 1);
  return (
    <>
      <span className={styles.arrow} aria-hidden="true">
        {change.up ? '▲' : '▼'}
      </span>
      <span className="visually-hidden">
        {change.up ? overview.change.up(by) : overview.change.down(by)}
      </span>
      <span aria-hidden="true">{by}</span>
      <span className={styles.before}> · {before}</span>
    </>
  );
}
