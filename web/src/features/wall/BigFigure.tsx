import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import type { SummaryFigure } from '../../api/generated';
import { ChangeText } from '../overview/ChangeText';
import { useCatalog } from '../overview/api';
import { formatValue, NOTHING } from '../overview/figures';
import styles from './wall.module.css';
import { useMetricTexts } from '../overview/use-overview';

/** A figure that can be read from across a room. */
export function BigFigure({
  metric,
  figure,
}: {
  metric: string;
  figure: SummaryFigure | undefined;
}) {
  const { overview } = useTexts();
  const format = useFormat();
  const textsOf = useMetricTexts();
  const definition = useCatalog().data?.find((one) => one.name === metric);
  const stat = figure === undefined ? '' : overview.statShort[figure.stat];
  return (
    <div className={styles.figure}>
      <dt>
        {definition === undefined ? '\u00a0' : textsOf(definition).label}
        {stat !== '' && <small> {stat}</small>}
      </dt>
      <dd>
        <span key={figure?.value ?? 'none'} className={styles.value}>
          {figure === undefined ? NOTHING : formatValue(figure.value, figure, format)}
        </span>
        <span className={styles.change}>
          {figure === undefined ? '\u00a0' : <ChangeText figure={figure} />}
        </span>
      </dd>
    </div>
  );
}
