import type { ChartPoint } from '../../components/charts/LineChart';
import { summarize } from '../../components/charts/summary';
import type { Format } from '../../format/use-format';
import type { Texts } from '../../texts';
import { MOST_SERIES, type Bucket } from './buckets';

interface SeriesFacts {
  label: string;
  bucket: Bucket;
  points: readonly ChartPoint[];
  /** Values of the only series, or of the largest group. */
  values: readonly (number | null)[];
  say: (value: number | null) => string;
  overview: Texts['overview'];
  format: Pick<Format, 'count'>;
  groups: number;
  split: boolean;
}

/** Says in sentences what a time series shows. */
export function describeSeries(facts: SeriesFacts): string {
  const { label, bucket, points, values, say, overview, format, groups, split } = facts;
  const { series } = overview;
  const found = summarize(values, (index) => points[index]?.partial !== true);
  const at = (index: number) => [say(values[index] ?? null), points[index]?.label ?? ''] as const;
  const known = values.filter((value) => value !== null).length;
  const sentences = [series.summary(label, series.buckets[bucket], format.count(known))];
  if (!split && found.highest !== null && found.lowest !== null && known > 1) {
    sentences.push(series.highest(...at(found.highest)), series.lowest(...at(found.lowest)));
    if (found.trend !== null) sentences.push(series.trend[found.trend]);
  }
  if (split && groups > MOST_SERIES)
    sentences.push(overview.chart.moreGroups(format.count(groups)));
  if (points.some((point) => point.partial)) sentences.push(series.partial);
  return sentences.join(' ');
}
