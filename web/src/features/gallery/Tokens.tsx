import { useTexts } from '../../texts';
import styles from './gallery.module.css';
import { Section } from './Section';

const COLOURS = [
  'bg',
  'bg-subtle',
  'bg-hover',
  'bg-selected',
  'bg-bubble',
  'text',
  'text-muted',
  'border',
  'border-strong',
  'accent',
  'accent-text',
  'danger',
  'danger-bg',
  'warning',
  'warning-bg',
  'success',
  'success-bg',
  'hit',
];
const SIZES = ['xl', 'l', 'm', 's', 'xs'];
const SPACES = ['1', '2', '3', '4', '5', '6', '8'];
const RADII = ['radius', 'radius-large'];

/** Colours, type scale, spaces and radii. */
export function Tokens() {
  const { gallery } = useTexts();
  return (
    <>
      <Section title={gallery.colours}>
        <ul className={styles.swatches}>
          {COLOURS.map((name) => (
            <li key={name}>
              <span className={styles.swatch} style={{ background: `var(--${name})` }} />
              <code>{`--${name}`}</code>
            </li>
          ))}
        </ul>
      </Section>
      <Section title={gallery.type}>
        {SIZES.map((size) => (
          <p key={size} style={{ fontSize: `var(--size-${size})` }}>
            <code>{`--size-${size}`}</code> {gallery.sample}
          </p>
        ))}
        <p>
          <code>--font-mono</code> <code>{gallery.sample}</code>
        </p>
        <p dir="auto">{gallery.sampleRtl}</p>
        <p>
          <mark>{gallery.sample}</mark>
        </p>
      </Section>
      <Section title={gallery.spaces}>
        <ul className={styles.list}>
          {SPACES.map((space) => (
            <li key={space}>
              <code>{`--space-${space}`}</code>
              <span className={styles.bar} style={{ width: `var(--space-${space})` }} />
            </li>
          ))}
        </ul>
      </Section>
      <Section title={gallery.radii}>
        <ul className={styles.list}>
          {RADII.map((radius) => (
            <li key={radius}>
              <code>{`--${radius}`}</code>
              <span className={styles.box} style={{ borderRadius: `var(--${radius})` }} />
            </li>
          ))}
        </ul>
      </Section>
    </>
  );
}
