import { Button } from '../../components/Button';
import { Sql } from '../../components/charts/SqlDialog';
import { Dialog } from '../../components/Dialog';
import { Table } from '../../components/Table';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import type { Metric, SummaryFigure } from '../../api/generated';
import { ChangeText } from './ChangeText';
import { formatValue, mainStat } from './figures';
import { behindMetric, type Behind } from './links';
import layout from '../../components/layout.module.css';
import type { MetricName } from './query';
import { figureSql, type SqlScope } from './sql';
import { useMetricTexts } from './use-overview';

interface Props {
  metric: Metric | undefined;
  data: readonly SummaryFigure[];
  compared: boolean;
  scope: SqlScope | undefined;
  onClose: () => void;
  onOverTime: (metric: string) => void;
  onConversations?: ((behind: Behind) => void) | undefined;
}

/** A figure's definition, statistics and SQL, and the way to the conversations behind it. */
export function FigureDialog(props: Props) {
  const { metric, onClose, onOverTime, onConversations } = props;
  const { overview } = useTexts();
  const textsOf = useMetricTexts();
  return (
    <Dialog
      open={metric !== undefined}
      title={metric === undefined ? '' : textsOf(metric).label}
      onClose={onClose}
      wide
      actions={
        metric !== undefined && (
          <>
            <Button
              onClick={() => {
                onOverTime(metric.name);
              }}
            >
              {overview.figure.overTime}
            </Button>
            {onConversations !== undefined && (
              <Button
                kind="primary"
                onClick={() => {
                  onConversations(behindMetric(metric.name).behind);
                }}
              >
                {overview.figure.conversations}
              </Button>
            )}
          </>
        )
      }
    >
      {metric !== undefined && <Definition {...props} metric={metric} />}
    </Dialog>
  );
}

function Definition({
  metric,
  data,
  compared,
  scope,
  onConversations,
}: Props & { metric: Metric }) {
  const { overview } = useTexts();
  const format = useFormat();
  const { description } = useMetricTexts()(metric);
  const rows = data.filter((one) => one.metric === metric.name);
  const exactness = metric.exact
    ? overview.figure.exact
    : overview.figure.inexact(format.percent(metric.error_bound ?? 0));
  return (
    <>
      <h3>{overview.figure.definition}</h3>
      <p>{description}</p>
      <p className={layout.note}>
        {overview.attributions[metric.attribution]} {exactness}{' '}
        {!metric.additive && overview.figure.notAdditive} <code>{metric.name}</code>
      </p>
      <Table
        caption={overview.figure.statistic}
        rows={rows}
        rowKey={(row) => row.stat}
        columns={[
          {
            key: 'stat',
            header: overview.figure.statistic,
            cell: (row) => overview.stats[row.stat],
          },
          {
            key: 'value',
            header: overview.figure.value,
            numeric: true,
            cell: (row) => <ValueOf row={row} />,
          },
          ...(compared
            ? [
                {
                  key: 'change',
                  header: overview.figure.change,
                  numeric: true,
                  cell: (row: SummaryFigure) => <ChangeText figure={row} />,
                },
              ]
            : []),
        ]}
      />
      {onConversations !== undefined && (
        <p className={layout.note}>
          {overview.figure.conversationsNote[behindMetric(metric.name).exact ? 'exact' : 'range']}
        </p>
      )}
      {scope !== undefined && (
        <>
          <h3>{overview.figure.sql}</h3>
          <Sql sql={figureSql(metric.name as MetricName, mainStat(metric), scope)} />
        </>
      )}
    </>
  );
}

function ValueOf({ row }: { row: SummaryFigure }) {
  const { overview } = useTexts();
  const format = useFormat();
  const value = formatValue(row.value, row, format);
  if (row.numerator == null || row.denominator == null) return value;
  return `${value} (${overview.of(format.count(row.numerator), format.count(row.denominator))})`;
}
