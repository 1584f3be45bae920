import styles from './charts.module.css';
import { Plot } from './Plot';
import { bandAt, heatOpacity } from './scales';
import { Tip } from './Tip';
import { useReading } from './use-reading';

export interface HeatCell {
  /** Null where the range holds none of this hour. */
  value: number | null;
  /** Its name and values, in words. */
  text: string;
}

interface Props {
  label: string;
  describedBy?: string;
  rows: readonly { label: string; short: string; cells: readonly HeatCell[] }[];
  columnLabel: (column: number) => string;
  columnTick: (column: number) => string;
  /** The value that has the full colour. */
  max: number;
}

const LEFT_PX = 36;
const BOTTOM_PX = 22;
const GAP_PX = 2;
const LOWEST_ROW_PX = 18;
const HIGHEST_ROW_PX = 28;
/** Every third hour has a label; on a narrow screen every sixth. */
const HOURS_A_TICK = 3;
const NARROW_PX = 480;

/** Weekdays by hours: the more, the fuller the colour. */
export function Heatmap({ label, describedBy, rows, columnLabel, columnTick, max }: Props) {
  const columns = rows[0]?.cells.length ?? 0;
  const reading = useReading({
    extent: { rows: rows.length, columns },
    textOf: ({ row, column }) => textOf(row, column),
  });
  const { place } = reading;
  const textOf = (row: number, column: number) =>
    `${rows[row]?.label ?? ''}, ${columnLabel(column)}: ${rows[row]?.cells[column]?.text ?? ''}`;
  const rowHeight = (width: number) =>
    Math.round(Math.min(HIGHEST_ROW_PX, Math.max(LOWEST_ROW_PX, (width - LEFT_PX) / columns)));
  return (
    <Plot
      label={label}
      describedBy={describedBy}
      height={(width) => rowHeight(width) * rows.length + BOTTOM_PX}
      handlers={reading.handlers}
      onPoint={(at) => {
        if (at === null || at.x < LEFT_PX) reading.point(null);
        else {
          reading.point({
            row: bandAt(at.y, rowHeight(at.width) * rows.length, rows.length),
            column: bandAt(at.x - LEFT_PX, at.width - LEFT_PX, columns),
          });
        }
      }}
      overlay={(width) =>
        place !== null && (
          <Tip
            x={LEFT_PX + ((place.column + 1) / columns) * (width - LEFT_PX)}
            heading={`${rows[place.row]?.label ?? ''}, ${columnLabel(place.column)}`}
            rows={[{ label: rows[place.row]?.cells[place.column]?.text ?? '', value: '' }]}
          />
        )
      }
    >
      {(width) => {
        const height = rowHeight(width);
        const band = (width - LEFT_PX) / columns;
        const step = width < NARROW_PX ? HOURS_A_TICK * 2 : HOURS_A_TICK;
        return (
          <>
            {rows.map((row, index) => (
              <g key={row.label} transform={`translate(0 ${String(index * height)})`}>
                <text x={0} y={height / 2} dy="0.32em" className={styles.tick}>
                  {row.short}
                </text>
                {row.cells.map((cell, column) => (
                  <Cell
                    key={column}
                    cell={cell}
                    max={max}
                    here={place?.row === index && place.column === column}
                    x={LEFT_PX + column * band + GAP_PX / 2}
                    y={GAP_PX / 2}
                    width={Math.max(1, band - GAP_PX)}
                    height={height - GAP_PX}
                  />
                ))}
              </g>
            ))}
            {Array.from({ length: Math.ceil(columns / step) }, (_, index) => (
              <text
                key={index}
                x={LEFT_PX + index * step * band + GAP_PX / 2}
                y={rows.length * height + 16}
                className={styles.tick}
              >
                {columnTick(index * step)}
              </text>
            ))}
          </>
        );
      }}
    </Plot>
  );
}

interface CellProps {
  cell: HeatCell;
  max: number;
  here: boolean;
  x: number;
  y: number;
  width: number;
  height: number;
}

function Cell({ cell, max, here, ...box }: CellProps) {
  return (
    <>
      <rect {...box} rx={2} className={cell.value === null ? styles.outside : styles.cell} />
      {cell.value !== null && cell.value > 0 && (
        <rect {...box} rx={2} className={styles.heat} fillOpacity={heatOpacity(cell.value, max)} />
      )}
      {here && <rect {...box} rx={2} className={styles.here} />}
    </>
  );
}
