import { scaleLinear } from 'd3-scale';
import { area, line } from 'd3-shape';
import { PlaceAxis, ValueAxis } from './Axis';
import styles from './charts.module.css';
import type { ChartPoint, ChartSeries } from './LineChart';
import { shownTicks } from './scales';

const TICK_WIDTH_PX = 76;

interface DrawingProps {
  points: readonly ChartPoint[];
  series: readonly ChartSeries[];
  formatTick: (value: number) => string;
  ticks: readonly number[];
  x: (index: number) => number;
  from: number;
  to: number;
  top: number;
  bottom: number;
  here: number | null;
}

/** Axes and lines of a chart over time. */
export function LineDrawing(props: DrawingProps) {
  const { points, series, ticks, formatTick, x, from, to, top, bottom, here } = props;
  const y = scaleLinear([0, ticks.at(-1) ?? 1], [bottom, top]);
  const marks = points.flatMap((point, index) => (point.mark === true ? [index] : []));
  const shown = shownTicks(points.length, to - from, TICK_WIDTH_PX, marks);
  const fill = area<number | null>()
    .defined((value) => value !== null)
    .x((_, index) => x(index))
    .y0(bottom)
    .y1((value) => y(value ?? 0));
  const alone = series.filter((one) => one.before !== true).length === 1 ? series[0] : undefined;
  return (
    <>
      <ValueAxis ticks={ticks} format={formatTick} y={y} from={from} to={to} />
      <PlaceAxis
        labels={shown.map((index) => ({ at: x(index), text: points[index]?.tick ?? '' }))}
        y={bottom + 18}
        from={from}
        to={to}
      />
      {alone !== undefined && <path d={fill([...alone.values]) ?? ''} className={styles.area} />}
      {[...series].reverse().map((one) => (
        <Line
          key={one.key}
          one={one}
          index={series.indexOf(one)}
          partial={points.map((point) => point.partial)}
          x={x}
          y={y}
        />
      ))}
      {here !== null && (
        <line x1={x(here)} x2={x(here)} y1={top} y2={bottom} className={styles.cursor} />
      )}
      {here !== null &&
        series.map((one, index) => {
          const value = one.values[here];
          return value == null ? null : (
            <circle
              key={one.key}
              cx={x(here)}
              cy={y(value)}
              r={4.5}
              className={styles.dot}
              style={{ fill: colorOf(one, index) }}
            />
          );
        })}
    </>
  );
}

interface LineProps {
  one: ChartSeries;
  index: number;
  partial: readonly boolean[];
  x: (index: number) => number;
  y: (value: number) => number;
}

/** One series; the parts that lead to a bucket that is not complete are dashed. */
function Line({ one, index, partial, x, y }: LineProps) {
  const draw = (wanted: (index: number) => boolean) =>
    line<number | null>()
      .defined((value, at) => value !== null && wanted(at))
      .x((_, at) => x(at))
      .y((value) => y(value ?? 0))([...one.values]) ?? '';
  const touches = (at: number) =>
    partial[at] === true || partial[at - 1] === true || partial[at + 1] === true;
  if (one.before === true) {
    return <path d={draw(() => true)} className={`${styles.line ?? ''} ${styles.before ?? ''}`} />;
  }
  const color = { stroke: colorOf(one, index) };
  return (
    <>
      <path d={draw((at) => partial[at] !== true)} className={styles.line} style={color} />
      <path
        d={draw(touches)}
        className={`${styles.line ?? ''} ${styles.partial ?? ''}`}
        style={color}
      />
      {lonely(one.values).map((at) => (
        <circle
          key={at}
          cx={x(at)}
          cy={y(one.values[at] ?? 0)}
          r={2}
          style={{ fill: colorOf(one, index) }}
        />
      ))}
    </>
  );
}

/** Returns the values without a neighbour, which no line shows. */
function lonely(values: readonly (number | null)[]): number[] {
  return values.flatMap((value, at) =>
    value !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null
      ? [at]
      : [],
  );
}

function colorOf(one: ChartSeries, index: number): string {
  return one.before === true ? 'var(--series-before)' : `var(--series-${String(index % 5)})`;
}
