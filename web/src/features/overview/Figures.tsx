import { useTexts } from '../../texts';
import type { Metric, Summary } from '../../api/generated';
import { useTimeseries } from './api';
import { numberIn, type AnalyticsQuery, type MetricName } from './query';
import { groupFigures, mainStat, shapeBucket } from './figures';
import styles from './overview.module.css';
import { Tile } from './Tile';

interface Props {
  catalog: readonly Metric[];
  summary: Summary | undefined;
  query: AnalyticsQuery;
  compared: boolean;
  onOpen: (metric: string) => void;
}

/** All figures of the catalogue, in groups. */
export function Figures({ catalog, summary, query, compared, onOpen }: Props) {
  const { overview } = useTexts();
  const shapes = useShapes(catalog, query);
  return (
    <div className={styles.figures}>
      {groupFigures(catalog).map(({ key, metrics }) => (
        <section key={key} className={styles.group} aria-label={groupName(key, overview.groups)}>
          <h2 className={styles.groupName}>{groupName(key, overview.groups)}</h2>
          <div className={styles.tiles}>
            {metrics.map((metric) => (
              <Tile
                key={metric.name}
                metric={metric}
                data={summary?.data}
                values={shapes(metric)}
                compared={compared}
                onOpen={() => {
                  onOpen(metric.name);
                }}
              />
            ))}
          </div>
        </section>
      ))}
    </div>
  );
}

function groupName<T extends Record<string, string>>(key: string, names: T): string {
  return names[key] ?? key;
}

/** Loads the shape of each figure over the range: one request for those with a median, one for the rest. */
function useShapes(catalog: readonly Metric[], query: AnalyticsQuery) {
  const medians = catalog.filter((metric) => mainStat(metric) === 'p50');
  const others = catalog.filter((metric) => mainStat(metric) !== 'p50');
  const names = (metrics: Metric[]) => metrics.map((metric) => metric.name as MetricName);
  const bucket = shapeBucket(query);
  const ofMedians = useTimeseries({
    query,
    bucket,
    metrics: names(medians),
    stat: 'p50',
    enabled: medians.length > 0,
  });
  const ofOthers = useTimeseries({
    query,
    bucket,
    metrics: names(others),
    enabled: others.length > 0,
  });
  return (metric: Metric) => {
    const rows = (mainStat(metric) === 'p50' ? ofMedians : ofOthers).data?.data;
    // What is not over yet would draw a fall that is none.
    return rows?.filter((row) => row['complete'] === true).map((row) => numberIn(row, metric.name));
  };
}
