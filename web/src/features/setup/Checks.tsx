import type { Setup, SetupSource } from '../../api/setup';
import type { Tone } from '../../components/Badge';
import { StatusList } from '../../components/StatusList';
import { useFormat, type Format } from '../../format/use-format';
import { useNow } from '../../format/use-now';
import { useTexts, type Texts } from '../../texts';
import { lastRefusal, sourceChecks, type Check, type CheckStatus } from './checks';

export const CHECK_TONES: Record<CheckStatus, Tone> = {
  ok: 'success',
  warn: 'warning',
  fail: 'danger',
};

/** Does the source work? Each check in a line, with what to do where it fails. */
export function Checks({ source, setup }: { source: SetupSource; setup: Setup }) {
  const texts = useTexts().setup;
  const format = useFormat();
  useNow(1_000);
  const items = sourceChecks(source, setup).map((check) => ({
    key: check.name,
    tone: CHECK_TONES[check.status],
    status: texts.status[check.status],
    text: headline(check, source, texts, format),
    help: advice(check, source, setup, texts, format),
  }));
  return <StatusList items={items} />;
}

function headline(
  { name, status }: Check,
  { last_delivery_at: last, last_test_at: test }: SetupSource,
  texts: Texts['setup'],
  format: Format,
): string {
  if (status !== 'ok') return texts.problems[name];
  if (name !== 'receiving' || typeof last !== 'string') return texts.checks[name];
  const tested =
    typeof test === 'string' ? texts.lastTest(format.relativeTime(test)) : texts.noTest;
  return `${texts.lastDelivery(format.relativeTime(last))} · ${tested}`;
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
      const last = format.relativeTime(lastRefusal(refusals) ?? Date.now());
      return texts.advice.refused(format.count(count), last);
    }
    case 'unknownName': {
      const last = format.relativeTime(unknown_source?.last_at ?? Date.now());
      return texts.advice.unknownName(format.count(unknown_source?.count ?? 0), last);
    }
    default:
      return texts.advice[name];
  }
}
