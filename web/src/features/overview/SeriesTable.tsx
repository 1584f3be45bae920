import { Table } from '../../components/Table';
import { useTexts } from '../../texts';

interface Props {
  title: string;
  points: readonly { label: string; partial: boolean; index: number }[];
  series: readonly { key: string; label: string; values: readonly (number | null)[] }[];
  say: (value: number | null) => string;
}

/** The values of a chart over time, one row a bucket. */
export function SeriesTable({ title, points, series, say }: Props) {
  const { overview } = useTexts();
  return (
    <Table
      caption={title}
      rows={points}
      rowKey={(row) => String(row.index)}
      columns={[
        {
          key: 'time',
          header: overview.series.time,
          cell: (row) => (row.partial ? `${row.label} (${overview.chart.partial})` : row.label),
        },
        ...series.map((one) => ({
          key: one.key,
          header: one.label,
          numeric: true,
          cell: (row: { index: number }) => say(one.values[row.index] ?? null),
        })),
      ]}
    />
  );
}
