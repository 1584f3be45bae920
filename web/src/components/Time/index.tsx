import { useFormat, type Format } from '../../format/use-format';

type Shape = 'short' | 'clock' | 'full' | 'relative';

interface Props {
  value: string;
  /** `short`: time today, else the date; `clock`: hours to seconds; `full`: date and time. */
  shape?: Shape;
}

/** A time in the zone of the page, with the exact one as a tooltip. */
export function Time({ value, shape = 'short' }: Props) {
  const format = useFormat();
  return (
    <time
      dateTime={value}
      // Hundreds of times come and go as one scrolls, and few are pointed at.
      onPointerEnter={(event) => {
        event.currentTarget.title = format.exactTime(value);
      }}
    >
      {textOf(value, shape, format)}
    </time>
  );
}

function textOf(value: string, shape: Shape, format: Format): string {
  switch (shape) {
    case 'short':
      return format.shortDateTime(value);
    case 'clock':
      return format.clockTime(value);
    case 'full':
      return format.dateTime(value);
    case 'relative':
      return format.relativeTime(value);
  }
}
