import { useState } from 'react';
import { useFormat } from '../../format/use-format';
import { useTexts, type Texts } from '../../texts';
import { Button } from '../Button';
import { Field } from '../Field';
import { Icon } from '../Icon';
import { Popover } from '../Popover';
import styles from './DateRange.module.css';
import { isDate, isInstant, PERIODS, type Period, type Range } from './range';

interface Props {
  value: Range;
  onChange: (range: Range) => void;
  periods?: readonly Period[];
  /** May there be no range at all? */
  optional?: boolean;
}

/** Chooses a period or own dates, in the zone of the page. */
export function DateRange({ value, onChange, periods = PERIODS, optional = true }: Props) {
  const { dateRange } = useTexts();
  const format = useFormat();
  const text = rangeText(value, dateRange, (bound) =>
    isInstant(bound) ? format.shortDateTime(bound) : (bound ?? '…'),
  );
  return (
    <Popover
      label={`${dateRange.label}: ${text}`}
      className={styles.trigger ?? ''}
      trigger={
        <>
          {text}
          <Icon name="down" size={14} />
        </>
      }
    >
      {(close) => (
        <div className={styles.panel}>
          <div className={styles.periods}>
            {optional && (
              <Button
                kind="quiet"
                aria-pressed={value.period === undefined && !value.from && !value.to}
                onClick={() => {
                  onChange({});
                  close();
                }}
              >
                {dateRange.any}
              </Button>
            )}
            {periods.map((period) => (
              <Button
                key={period}
                kind="quiet"
                aria-pressed={value.period === period}
                onClick={() => {
                  onChange({ period });
                  close();
                }}
              >
                {dateRange[period]}
              </Button>
            ))}
          </div>
          <OwnRange
            value={value}
            onApply={(range) => {
              onChange(range);
              close();
            }}
          />
        </div>
      )}
    </Popover>
  );
}

function OwnRange({ value, onApply }: { value: Range; onApply: (range: Range) => void }) {
  const { common, dateRange } = useTexts();
  const [from, setFrom] = useState(isDate(value.from) ? value.from : '');
  const [to, setTo] = useState(isDate(value.to) ? value.to : '');
  return (
    <form
      className={styles.own}
      onSubmit={(event) => {
        event.preventDefault();
        onApply({ from: from || undefined, to: to || undefined });
      }}
    >
      <Field
        label={dateRange.from}
        type="date"
        value={from}
        max={to || undefined}
        onChange={(event) => {
          setFrom(event.target.value);
        }}
      />
      <Field
        label={dateRange.to}
        type="date"
        value={to}
        min={from || undefined}
        onChange={(event) => {
          setTo(event.target.value);
        }}
      />
      <Button type="submit">{common.apply}</Button>
    </form>
  );
}

function rangeText(
  value: Range,
  texts: Texts['dateRange'],
  boundText: (bound: string | undefined) => string,
): string {
  if (value.period !== undefined) return texts[value.period];
  if (value.from === undefined && value.to === undefined) return texts.any;
  return `${boundText(value.from)} – ${boundText(value.to)}`;
}
