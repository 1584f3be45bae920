import { useQueries } from '@tanstack/react-query';
import { ChartFrame } from '../../components/charts/ChartFrame';
import { saveFile, toCsv } from '../../components/charts/csv';
import { StatusDot } from '../../components/Badge';
import { Select } from '../../components/Field';
import { Table } from '../../components/Table';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import { Alerts } from './Alerts';
import { topOptions } from './api';
import styles from './overview.module.css';
import { numberIn, textIn, filtersOf } from './query';
import {
  compareWindows,
  windowsOf,
  WINDOW_STEP_MS,
  type QuietAgent,
  type QuietState,
} from './quiet';
import { QUIET_HOURS } from './search';
import { useOpenConversations } from './use-open';
import { useNow } from './use-now';
import { useOverview } from './use-overview';

const HEIGHT_PX = 200;
const TONES = { quiet: 'warning', normal: 'success', unknown: 'neutral' } as const satisfies Record<
  QuietState,
  string
>;

/** Agents that are quieter than usual at this weekday and hour, and the alerts of the settings. */
export default function QuietSection() {
  const { overview } = useTexts();
  const { search, change } = useOverview();
  const hours = search.quiet ?? '6';
  const { agents, state } = useQuiet(Number(hours));
  const quiet = agents.filter((one) => one.state === 'quiet');
  const save = () => {
    const header = [
      'agent_id',
      'state',
      'now',
      'usual',
      '1_week_before',
      '2_weeks_before',
      '3_weeks_before',
      '4_weeks_before',
    ];
    saveFile(
      'verbatim-quiet.csv',
      toCsv(
        header,
        agents.map((one) => [one.agent, one.state, one.now, one.usual, ...one.weeks]),
      ),
    );
  };
  const table = <QuietTable agents={agents} />;
  return (
    <ChartFrame
      title={overview.quiet.title}
      summary={[
        overview.quiet.summary(overview.quiet.windows[hours]),
        quiet.length === 0
          ? overview.quiet.allNormal
          : overview.quiet.some(quiet.map((one) => one.agent).join(', ')),
        overview.quiet.help,
      ].join(' ')}
      controls={
        <Select
          label={overview.quiet.window}
          labelHidden
          value={hours}
          options={QUIET_HOURS.map((one) => ({ value: one, label: overview.quiet.windows[one] }))}
          onChange={(value) => {
            change({ quiet: value });
          }}
        />
      }
      state={state}
      height={HEIGHT_PX}
      emptyText={overview.quiet.empty}
      csv={{ save }}
      table={table}
      isTable
      after={<Alerts />}
    >
      {() => table}
    </ChartFrame>
  );
}

/** Loads visits by agent in the window and in those of the weeks before. */
function useQuiet(hours: number) {
  const { search, zone } = useOverview();
  const windows = windowsOf(useNow(WINDOW_STEP_MS), hours, zone);
  const results = useQueries({
    queries: windows.map((window) => ({
      ...topOptions({
        query: { ...filtersOf(search), ...window, tz: zone },
        by: 'agent',
        metric: 'visits',
        limit: 100,
      }),
    })),
  });
  const failed = results.find((one) => one.error !== null && one.data === undefined);
  const agents = results.some((one) => one.data === undefined)
    ? []
    : compareWindows(
        results.map(
          (one) =>
            new Map(
              (one.data?.data ?? []).map((row) => [
                textIn(row, 'agent_id') ?? '',
                numberIn(row, 'visits') ?? 0,
              ]),
            ),
        ),
        (numberIn(results[0]?.data?.other, 'groups') ?? 0) === 0,
      ).filter((one) => one.now > 0 || one.usual > 0);
  return {
    agents,
    state: {
      loading: failed === undefined && results.some((one) => one.isPending),
      error: failed?.error ?? null,
      empty: agents.length === 0,
      outdated: false,
      retry: () => {
        results.forEach((one) => void one.refetch());
      },
    },
  };
}

function QuietTable({ agents }: { agents: readonly QuietAgent[] }) {
  const { overview } = useTexts();
  const format = useFormat();
  const { search } = useOverview();
  const open = useOpenConversations(search);
  return (
    <Table
      caption={overview.chart.tableOf(overview.quiet.title)}
      rows={agents}
      rowKey={(row) => row.agent}
      columns={[
        {
          key: 'agent',
          header: overview.quiet.agent,
          cell: (row) =>
            open === undefined ? (
              row.agent
            ) : (
              <button
                type="button"
                className={styles.link}
                onClick={() => {
                  open({ agent: [row.agent] });
                }}
              >
                {row.agent}
              </button>
            ),
        },
        {
          key: 'state',
          header: overview.quiet.state,
          cell: (row) => (
            <StatusDot tone={TONES[row.state]} label={overview.quiet.states[row.state]} />
          ),
        },
        {
          key: 'now',
          header: overview.quiet.now,
          numeric: true,
          cell: (row) => format.count(row.now),
        },
        {
          key: 'usual',
          header: overview.quiet.usual,
          numeric: true,
          cell: (row) => format.decimal(row.usual),
        },
        {
          key: 'weeks',
          header: overview.quiet.weeks,
          numeric: true,
          cell: (row) => row.weeks.map((week) => format.count(week)).join(' · '),
        },
      ]}
    />
  );
}
