import type { Setup, SetupSource } from '../../api/setup';
import { StatusDot, type Tone } from '../../components/Badge';
import { useFormat, type Format } from '../../format/use-format';
import { useNow } from '../../format/use-now';
import { useTexts, type Texts } from '../../texts';
import { lastRefusal, sourceChecks, type Check, type CheckStatus } from './checks';
import styles from './setup.module.css';

const TONES: Record<CheckStatus, Tone> = { ok: 'success', warn: 'warning', fail: 'danger' };

/** Does the source work? Each check in a line, with what to do where it fails. */
export function Checks({ source, setup }: { source: SetupSource; setup: Setup }) {
  const texts = useTexts().setup;
  const format = useFormat();
  useNow(1_000);
  return (
    <ul className={styles.checks}>
      {sourceChecks(source, setup).map((check) => (
        <li key={check.name}>
          <StatusDot tone={TONES[check.status]} label={texts.status[check.status]} labelHidden />
          <div>
            <p>{headline(check, source, texts, format)}</p>
            {check.advice !== undefined && (
              <p className={styles.muted}>{advice(check, source, setup, texts, format)}</p>
            )}
          </div>
        </li>
      ))}
    </ul>
  );
}

function headline(
  check: Check,
  source: SetupSource,
  texts: Texts['setup'],
  format: Format,
): string {
  if (check.name !== 'receiving') return texts.checks[check.name];
  const last = source.last_delivery_at;
  return typeof last === 'string'
    ? texts.lastDelivery(format.relativeTime(last))
    : texts.noDelivery;
}

function advice(
  { advice: name }: Check,
  { refusals }: SetupSource,
  { unknown_source }: Setup,
  texts: Texts['setup'],
  format: Format,
): string | undefined {
  switch (name) {
    case undefined:
      return undefined;
    case 'noDelivery':
      return texts.noDeliveryHelp;
    case 'refused': {
      const count = refusals.reduce((sum, one) => sum + one.count, 0);
      return texts.advice.refused(
        format.count(count),
        format.relativeTime(lastRefusal(refusals) ?? Date.now()),
      );
    }
    case 'unknownName':
      return texts.advice.unknownName(
        format.count(unknown_source?.count ?? 0),
        format.relativeTime(unknown_source?.last_at ?? Date.now()),
      );
    default:
      return texts.advice[name];
  }
}
