import { scaleLinear } from 'd3-scale';
import { marginsFor, PlaceAxis, ValueAxis } from './Axis';
import styles from './charts.module.css';
import { Plot } from './Plot';
import { bandAt, shownTicks, valueTicks } from './scales';
import { Tip } from './Tip';
import { useReading } from './use-reading';

export interface Column {
  /** The whole name of the bin. */
  label: string;
  /** The short one below it. */
  tick: string;
  value: number;
  /** The value and its part of all, in words. */
  text: string;
}

interface Props {
  label: string;
  describedBy?: string;
  columns: readonly Column[];
  formatTick: (value: number) => string;
  valueLabel: string;
  onOpen?: ((column: number) => void) | undefined;
}

const HEIGHT_PX = 220;
const TICK_WIDTH_PX = 64;
const GAP_PX = 2;

/** A histogram: one column a bin. */
export function ColumnChart({
  label,
  describedBy,
  columns,
  formatTick,
  valueLabel,
  onOpen,
}: Props) {
  const ticks = valueTicks(Math.max(0, ...columns.map((one) => one.value)), 'count');
  const margins = marginsFor(ticks.map(formatTick));
  const reading = useReading({
    extent: { rows: 1, columns: columns.length },
    textOf: ({ column }) => `${columns[column]?.label ?? ''}: ${columns[column]?.text ?? ''}`,
    onOpen:
      onOpen &&
      (({ column }) => {
        onOpen(column);
      }),
  });
  const here = reading.place?.column ?? null;
  const plotWidth = (width: number) => Math.max(1, width - margins.left - margins.right);
  const bottom = HEIGHT_PX - margins.bottom;
  const y = scaleLinear([0, ticks.at(-1) ?? 1], [bottom, margins.top]);
  return (
    <Plot
      label={label}
      describedBy={describedBy}
      height={HEIGHT_PX}
      handlers={reading.handlers}
      onPoint={(at) => {
        reading.point(
          at === null || columns.length === 0
            ? null
            : { row: 0, column: bandAt(at.x - margins.left, plotWidth(at.width), columns.length) },
        );
      }}
      onPress={
        onOpen &&
        (() => {
          if (here !== null) onOpen(here);
        })
      }
      overlay={(width) =>
        here !== null && (
          <Tip
            x={margins.left + ((here + 0.5) / columns.length) * plotWidth(width)}
            heading={columns[here]?.label ?? ''}
            rows={[{ label: valueLabel, value: columns[here]?.text ?? '' }]}
          />
        )
      }
    >
      {(width) => {
        const band = plotWidth(width) / Math.max(1, columns.length);
        const shown = shownTicks(columns.length, plotWidth(width), TICK_WIDTH_PX);
        return (
          <>
            <ValueAxis
              ticks={ticks}
              format={formatTick}
              y={y}
              from={margins.left}
              to={width - margins.right}
            />
            <PlaceAxis
              labels={shown.map((index) => ({
                at: margins.left + (index + 0.5) * band,
                text: columns[index]?.tick ?? '',
              }))}
              y={bottom + 18}
              from={margins.left}
              to={width - margins.right}
            />
            {columns.map((column, index) => (
              <rect
                key={column.label}
                x={margins.left + index * band + GAP_PX / 2}
                y={y(column.value)}
                width={Math.max(1, band - GAP_PX)}
                height={Math.max(0, bottom - y(column.value))}
                className={index === here ? styles.barHere : styles.bar}
              />
            ))}
          </>
        );
      }}
    </Plot>
  );
}
