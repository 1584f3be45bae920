import type { Setup, SetupSource } from '../../api/setup';

export type CheckStatus = 'ok' | 'warn' | 'fail';
export type CheckName =
  'receiving' | 'address' | 'credentials' | 'refusals' | 'names' | 'inbox' | 'database';

/** One question about the set-up, and which advice fits where it is not answered well. */
export interface Check {
  name: CheckName;
  status: CheckStatus;
  advice?:
    | 'noDelivery'
    | 'addressLocal'
    | 'addressPlain'
    | 'addressUnknown'
    | 'credentials'
    | 'refused'
    | 'unknownName'
    | 'inbox'
    | 'database';
}

/** Returns the checks of a source: the last delivery, then those that need a hand first. */
export function sourceChecks(source: SetupSource, setup: Setup): Check[] {
  const { inbox, drain } = setup.health;
  const checks: Check[] = [
    address(source.url),
    source.credentials.length > 0
      ? { name: 'credentials', status: 'ok' }
      : { name: 'credentials', status: 'fail', advice: 'credentials' },
    refusals(source),
    inbox.writable
      ? { name: 'inbox', status: 'ok' }
      : { name: 'inbox', status: 'fail', advice: 'inbox' },
    drain.reachable && !drain.failing
      ? { name: 'database', status: 'ok' }
      : { name: 'database', status: 'warn', advice: 'database' },
  ];
  if (setup.unknown_source) checks.push({ name: 'names', status: 'warn', advice: 'unknownName' });
  return [receiving(source), ...checks.toSorted((a, b) => RANK[a.status] - RANK[b.status])];
}

const RANK: Record<CheckStatus, number> = { fail: 0, warn: 1, ok: 2 };

function receiving({ last_delivery_at }: SetupSource): Check {
  return typeof last_delivery_at === 'string'
    ? { name: 'receiving', status: 'ok' }
    : { name: 'receiving', status: 'warn', advice: 'noDelivery' };
}

/** Refusals after the last accepted delivery mean that nothing gets through now. */
function refusals({ refusals: all, last_delivery_at }: SetupSource): Check {
  const last = lastRefusal(all);
  if (last === null) return { name: 'refusals', status: 'ok' };
  const blocked =
    typeof last_delivery_at !== 'string' || Date.parse(last) > Date.parse(last_delivery_at);
  return { name: 'refusals', status: blocked ? 'fail' : 'warn', advice: 'refused' };
}

/** Returns the time of the latest refusal, or null without any. */
export function lastRefusal(refusals: SetupSource['refusals']): string | null {
  const times = refusals.map((one) => one.last_at).toSorted();
  return times.at(-1) ?? null;
}

const LOCAL = /^(localhost|.*\.localhost|127\..*|\[::1\]|0\.0\.0\.0)$/;

function address(url: string | null | undefined): Check {
  if (url === null || url === undefined) {
    return { name: 'address', status: 'warn', advice: 'addressUnknown' };
  }
  const { protocol, hostname } = new URL(url);
  if (LOCAL.test(hostname)) return { name: 'address', status: 'warn', advice: 'addressLocal' };
  if (protocol !== 'https:') return { name: 'address', status: 'warn', advice: 'addressPlain' };
  return { name: 'address', status: 'ok' };
}
