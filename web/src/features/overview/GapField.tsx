import { useId } from 'react';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import { GAPS_S } from './funnel';
import layout from '../../components/layout.module.css';
import styles from './overview.module.css';

/** Chooses a visit gap on a scale whose steps grow. */
export function GapField({ value, onChange }: { value: number; onChange: (gap: number) => void }) {
  const { overview } = useTexts();
  const format = useFormat();
  const id = useId();
  return (
    <div className={styles.gap}>
      <label htmlFor={id}>
        {overview.funnel.gap}: <strong>{format.duration(value)}</strong>
      </label>
      <input
        id={id}
        type="range"
        min={0}
        max={GAPS_S.length - 1}
        step={1}
        value={Math.max(
          0,
          GAPS_S.findIndex((gap) => gap === value),
        )}
        aria-valuetext={format.duration(value)}
        aria-describedby={`${id}-help`}
        onChange={(event) => {
          const gap = GAPS_S[Number(event.target.value)];
          if (gap !== undefined) onChange(gap);
        }}
      />
      <p id={`${id}-help`} className={layout.note}>
        {overview.funnel.gapHelp}
      </p>
    </div>
  );
}
