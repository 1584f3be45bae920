import { useId, useState, type ReactNode } from 'react';
import { useTexts } from '../../texts';
import { Button } from '../Button';
import { ErrorNotice } from '../Notice';
import { Icon } from '../Icon';
import { Menu, type MenuItem } from '../Popover/Menu';
import button from '../Button/Button.module.css';
import styles from './ChartFrame.module.css';
import { SqlDialog } from './SqlDialog';

/** State of the request behind a chart. */
export interface ChartState {
  loading: boolean;
  /** Set where nothing can be shown; figures from before stay on view. */
  error: unknown;
  empty: boolean;
  /** What is on view belongs to earlier choices, and new figures are on their way. */
  outdated: boolean;
  retry: () => void;
}

interface Props {
  title: string;
  /** The chart in a sentence or two. */
  summary: string;
  controls?: ReactNode;
  state: ChartState;
  /** Height of the chart, which its place keeps while it loads. */
  height: number;
  emptyText?: string;
  /** A file of the service, or how to make one. */
  csv: { href: string } | { save: () => void };
  /** The query that gives the same figures, and what it is called. */
  sql?: { title: string; query: string } | undefined;
  table: ReactNode;
  /** What is on view is the table already. */
  isTable?: boolean;
  /** Follows the chart, also where there is none. */
  after?: ReactNode;
  /** The chart; `describedBy` is the summary's id. */
  children: (describedBy: string) => ReactNode;
}

/** A chart with its title, its summary, and the same figures as a table, as CSV and as SQL. */
export function ChartFrame(props: Props) {
  const { title, summary, controls, state, height, csv, sql, table, children } = props;
  const { overview } = useTexts();
  const [asTable, setAsTable] = useState(false);
  const [sqlOpen, setSqlOpen] = useState(false);
  const id = useId();
  const ready = !state.loading && state.error === null && !state.empty;
  return (
    <section className={styles.frame} aria-labelledby={`${id}-title`}>
      <header className={styles.header}>
        <h2 id={`${id}-title`}>{title}</h2>
        <div className={styles.controls}>
          {controls}
          {props.isTable !== true && (
            <Button
              kind="quiet"
              onClick={() => {
                setAsTable(!asTable);
              }}
            >
              {asTable ? overview.chart.showChart : overview.chart.showTable}
              <span className="visually-hidden">: {title}</span>
            </Button>
          )}
          <FileMenu
            title={title}
            csv={csv}
            onSql={
              sql &&
              (() => {
                setSqlOpen(true);
              })
            }
          />
        </div>
      </header>
      <p id={`${id}-summary`} className={styles.summary}>
        {ready ? summary : '\u00a0'}
      </p>
      <div
        className={`${styles.body ?? ''} ${state.outdated ? (styles.dim ?? '') : ''}`}
        style={{ minHeight: height }}
        aria-busy={state.loading || state.outdated}
      >
        <Body state={state} height={height} emptyText={props.emptyText}>
          {asTable ? <div className={styles.table}>{table}</div> : children(`${id}-summary`)}
        </Body>
      </div>
      {props.after}
      {sql !== undefined && (
        <SqlDialog
          title={sql.title}
          sql={sqlOpen ? sql.query : null}
          onClose={() => {
            setSqlOpen(false);
          }}
        />
      )}
    </section>
  );
}

interface BodyProps {
  state: ChartState;
  height: number;
  emptyText: string | undefined;
  children: ReactNode;
}

function Body({ state, height, emptyText, children }: BodyProps) {
  const { common, overview } = useTexts();
  if (state.loading) {
    return (
      <div className={styles.skeleton} style={{ height }} role="status">
        <span className="visually-hidden">{common.loading}</span>
      </div>
    );
  }
  if (state.error !== null)
    return <ErrorNotice error={state.error} onRetry={state.retry} level={3} />;
  if (state.empty) {
    return (
      <p className={styles.empty} style={{ minHeight: height }}>
        {emptyText ?? overview.chart.empty}
      </p>
    );
  }
  return children;
}

interface FileMenuProps extends Pick<Props, 'title' | 'csv'> {
  onSql: (() => void) | undefined;
}

function FileMenu({ title, csv, onSql }: FileMenuProps) {
  const { overview } = useTexts();
  const file: MenuItem =
    'href' in csv
      ? { label: overview.chart.csv, href: csv.href, download: true }
      : { label: overview.chart.csv, onSelect: csv.save };
  return (
    <Menu
      label={`${overview.chart.more}: ${title}`}
      className={`${button.button ?? ''} ${button.quiet ?? ''} ${button.iconOnly ?? ''}`}
      trigger={<Icon name="download" size={16} />}
      items={onSql === undefined ? [file] : [file, { label: overview.chart.sql, onSelect: onSql }]}
    />
  );
}
