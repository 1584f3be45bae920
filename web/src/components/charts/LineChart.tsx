import { marginsFor } from './Axis';
import { Legend } from './Legend';
import { LineDrawing } from './LineDrawing';
import { Plot } from './Plot';
import { pointAt, valueTicks, type ValueUnit } from './scales';
import { Tip } from './Tip';
import { useReading } from './use-reading';

export interface ChartPoint {
  /** The whole name of the point. */
  label: string;
  /** The short one below the axis. */
  tick: string;
  /** It is not over, or the range holds a part of it. */
  partial: boolean;
  /** Starts a larger unit, such as a day among hours. */
  mark?: boolean;
}

export interface ChartSeries {
  key: string;
  label: string;
  values: readonly (number | null)[];
  /** The earlier range that the first series is compared with. */
  before?: boolean;
}

interface Props {
  label: string;
  describedBy?: string;
  unit: ValueUnit;
  points: readonly ChartPoint[];
  series: readonly ChartSeries[];
  format: (value: number) => string;
  formatTick: (value: number) => string;
  /** What is said where there is no value. */
  nothing: string;
  onOpen?: ((point: number, series: string) => void) | undefined;
}

const HEIGHT_PX = 240;

/** Values over time, one line a series. */
export function LineChart(props: Props) {
  const { label, describedBy, unit, points, series, format, formatTick, nothing, onOpen } = props;
  const say = (value: number | null | undefined) => (value == null ? nothing : format(value));
  const highest = Math.max(0, ...series.flatMap((one) => one.values.map((value) => value ?? 0)));
  const ticks = valueTicks(highest, unit);
  const margins = marginsFor(ticks.map(formatTick));

  const reading = useReading({
    extent: { rows: series.length, columns: points.length },
    textOf: ({ row, column }) => {
      const own = `${points[column]?.label ?? ''}: ${say(series[row]?.values[column])}`;
      return series.length > 1 ? `${series[row]?.label ?? ''}, ${own}` : own;
    },
    onOpen:
      onOpen &&
      (({ row, column }) => {
        onOpen(column, series[row]?.key ?? '');
      }),
  });
  const { place } = reading;
  const plotWidth = (width: number) => Math.max(1, width - margins.left - margins.right);
  const x = (width: number, index: number) =>
    margins.left + (points.length < 2 ? 0.5 : index / (points.length - 1)) * plotWidth(width);

  return (
    <>
      {series.length > 1 && <Legend series={series} />}
      <Plot
        label={label}
        describedBy={describedBy}
        height={HEIGHT_PX}
        handlers={reading.handlers}
        onPoint={(at) => {
          if (at === null || points.length === 0) reading.point(null);
          else {
            const column = pointAt(at.x - margins.left, plotWidth(at.width), points.length);
            reading.point({ row: place?.row ?? 0, column });
          }
        }}
        onPress={
          onOpen &&
          (() => {
            if (place !== null) onOpen(place.column, series[place.row]?.key ?? '');
          })
        }
        overlay={(width) =>
          place !== null && (
            <Tip
              x={x(width, place.column)}
              heading={points[place.column]?.label ?? ''}
              rows={series.map((one) => ({
                label: one.label,
                value: say(one.values[place.column]),
              }))}
            />
          )
        }
      >
        {(width) => (
          <LineDrawing
            {...{ points, series, ticks, formatTick, width }}
            x={(index) => x(width, index)}
            from={margins.left}
            to={width - margins.right}
            top={margins.top}
            bottom={HEIGHT_PX - margins.bottom}
            here={place?.column ?? null}
          />
        )}
      </Plot>
    </>
  );
}
