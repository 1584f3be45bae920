import { useSession } from '../../app/session';
import type { Summary } from '../../api/generated';
import { BarList } from '../../components/charts/BarList';
import { ChartFrame } from '../../components/charts/ChartFrame';
import { saveFile, toCsv } from '../../components/charts/csv';
import { Button } from '../../components/Button';
import { Table } from '../../components/Table';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import { findFigure, NOTHING } from './figures';
import {
  countFunnel,
  DEFAULT_GAP_S,
  funnelOfFigures,
  nearestGap,
  partOf,
  STEPS,
  type Funnel,
} from './funnel';
import { GapField } from './GapField';
import styles from './overview.module.css';
import { useSample } from './sample';
import type { SqlScope } from './sql';
import { funnelSql } from './sql-funnel';
import { useOverview } from './use-overview';

const HEIGHT_PX = 132;

interface Props {
  summary: Summary | undefined;
  scope: SqlScope | undefined;
}

/** How far visitors come: joined, spoke, spoke again, ended by itself. */
export default function FunnelSection({ summary, scope }: Props) {
  const { overview } = useTexts();
  const format = useFormat();
  const { search, change } = useOverview();
  const { funnel, sample, byVisit, gap, mayTry } = useFunnel(summary);
  const rows = STEPS.map((step, index) => ({
    step,
    value: funnel[step],
    ofFirst: partOf(funnel[step], funnel.joined),
    ofPrevious: partOf(funnel[step], index === 0 ? null : funnel[STEPS[index - 1] ?? 'joined']),
  }));
  const percent = (part: number | null) => (part === null ? NOTHING : format.percent(part));
  const save = () => {
    const header = ['step', 'count', 'of_first', 'of_previous'];
    const values = rows.map((row) => [row.step, row.value, row.ofFirst, row.ofPrevious]);
    saveFile('verbatim-funnel.csv', toCsv(header, values));
  };
  const notes = [
    byVisit && sample.data !== undefined
      ? overview.funnel.byVisit(
          format.count(funnel.joined ?? 0),
          format.count(sample.data.sessions.length),
          format.duration(gap),
        )
      : overview.funnel.bySession,
    byVisit && sample.data !== undefined
      ? overview.funnel.sampled(format.count(sample.data.sessions.length))
      : '',
    byVisit && (sample.data?.cut ?? 0) > 0
      ? overview.funnel.cut(format.count(sample.data?.cut ?? 0))
      : '',
    overview.funnel.shares,
    mayTry ? '' : overview.funnel.needsRead,
  ];
  return (
    <ChartFrame
      title={overview.funnel.title}
      summary={notes.filter((note) => note !== '').join(' ')}
      controls={
        mayTry && (
          <Button
            kind="quiet"
            aria-pressed={byVisit}
            onClick={() => {
              change({ gap: search.gap === undefined ? DEFAULT_GAP_S : undefined });
            }}
          >
            {byVisit ? overview.funnel.stopGap : overview.funnel.tryGap}
          </Button>
        )
      }
      state={{
        loading: byVisit ? sample.isPending : summary === undefined,
        error: byVisit && sample.data === undefined ? sample.error : null,
        empty: funnel.joined === 0,
        outdated: false,
        retry: () => void sample.refetch(),
      }}
      height={byVisit ? HEIGHT_PX + 76 : HEIGHT_PX}
      csv={{ save }}
      sql={scope && { title: overview.funnel.title, query: funnelSql(gap, scope) }}
      table={
        <Table
          caption={overview.chart.tableOf(overview.funnel.title)}
          rows={rows}
          rowKey={(row) => row.step}
          columns={[
            {
              key: 'step',
              header: overview.funnel.step,
              cell: (row) => overview.funnel.steps[row.step],
            },
            {
              key: 'number',
              header: overview.funnel.number,
              numeric: true,
              cell: (row) => (row.value === null ? NOTHING : format.count(row.value)),
            },
            {
              key: 'first',
              header: overview.funnel.ofFirst,
              numeric: true,
              cell: (row) => percent(row.ofFirst),
            },
            {
              key: 'previous',
              header: overview.funnel.ofPrevious,
              numeric: true,
              cell: (row) => percent(row.ofPrevious),
            },
            {
              key: 'definition',
              header: overview.funnel.definition,
              cell: (row) => overview.funnel.definitions[row.step],
            },
          ]}
        />
      }
    >
      {() => (
        <div className={styles.funnel}>
          {byVisit && (
            <GapField
              value={gap}
              onChange={(value) => {
                // Each step of the slider is no place to go back to.
                change({ gap: value }, { replace: true });
              }}
            />
          )}
          <BarList
            label={overview.funnel.title}
            max={funnel.joined ?? 0}
            bars={rows.map((row) => ({
              key: row.step,
              name: overview.funnel.steps[row.step],
              value: row.value ?? 0,
              text: row.value === null ? overview.funnel.unknown : format.count(row.value),
              ...(row.ofPrevious !== null && {
                more: percent(row.ofPrevious),
              }),
            }))}
          />
        </div>
      )}
    </ChartFrame>
  );
}

/** Returns the funnel: by session from the figures, or by visit with a gap to try out. */
function useFunnel(summary: Summary | undefined) {
  const { can } = useSession();
  const { search, query } = useOverview();
  const mayTry = can('read');
  const byVisit = mayTry && search.gap !== undefined;
  const gap = nearestGap(search.gap ?? DEFAULT_GAP_S);
  const sample = useSample(
    query,
    summary && {
      from: summary.from,
      to: summary.to,
      agents: search.agent,
      source: search.source,
      room: search.room,
    },
    byVisit,
  );
  const value = (metric: string) => findFigure(summary?.data ?? [], metric, 'count')?.value ?? null;
  const funnel: Funnel =
    byVisit && sample.data !== undefined
      ? countFunnel(sample.data.sessions, gap)
      : funnelOfFigures(value);
  return { funnel, sample, byVisit, gap, mayTry };
}
