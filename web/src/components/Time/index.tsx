import { useFormat } from '../../format/use-format';

interface Props {
  value: string;
  /** `short`: time today, else the date; `clock`: hours to seconds; `full`: date and time. */
  shape?: 'short' | 'clock' | 'full' | 'relative';
}

/** A time in the zone of the page, with the exact one as a tooltip. */
export function Time({ value, shape = 'short' }: Props) {
  const format = useFormat();
  const text = {
    short: format.shortDateTime,
    clock: format.clockTime,
    full: format.dateTime,
    relative: (instant: string) => format.relativeTime(instant),
  }[shape](value);
  return (
    <time dateTime={value} title={format.exactTime(value)}>
      {text}
    </time>
  );
}
