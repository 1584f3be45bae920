import type { Ready } from '../../api/generated';
import type { Disk, Health } from '../../api/setup';

export type HealthStatus = 'ok' | 'warn' | 'fail' | 'unknown';

/** One thing about the service: how good it is, and the values that its sentence needs. */
export type HealthItem =
  | { name: 'service'; status: HealthStatus; readiness: Ready['status'] }
  | {
      name: 'inbox';
      status: HealthStatus;
      deliveries: number;
      bytes: number;
      quotaBytes: number | null;
      ageSeconds: number;
      writable: boolean;
    }
  | {
      name: 'database';
      status: HealthStatus;
      reachable: boolean;
      since: string | null;
      schema: string;
      lastCommitAt: string | null;
    }
  | { name: 'search'; status: HealthStatus; lagSeconds: number; rebuilt: number | null }
  | { name: 'figures'; status: HealthStatus; lagSeconds: number }
  | {
      name: 'standby';
      status: HealthStatus;
      used: boolean;
      state: string;
      lagSeconds: number | null;
    }
  | { name: 'disk'; status: HealthStatus; freeBytes: number; totalBytes: number };

/** Behind by more than this, something is worth a look. */
const LAG_WARN_SECONDS = 60;
const DISK_WARN_SHARE = 0.1;
const DISK_FAIL_SHARE = 0.03;

/** Returns what `/readyz` and `/v1/setup` say about the service; the latter may be missing. */
export function healthItems(ready: Ready, health: Health | undefined): HealthItem[] {
  const items = [service(ready), inbox(ready, health), database(ready), search(ready)];
  return [...items, figures(ready), standby(ready), ...(health?.disk ?? []).map(disk)].filter(
    (item) => item !== null,
  );
}

function service({ status: readiness }: Ready): HealthItem {
  const statuses = {
    ready: 'ok',
    degraded: 'warn',
    starting: 'warn',
    unavailable: 'fail',
  } as const;
  return { name: 'service', status: statuses[readiness], readiness };
}

function inbox({ inbox: state }: Ready, health: Health | undefined): HealthItem {
  const ageSeconds = state.oldest_age_seconds ?? 0;
  const behind = ageSeconds > LAG_WARN_SECONDS ? 'warn' : 'ok';
  return {
    name: 'inbox',
    status: state.writable ? behind : 'fail',
    deliveries: state.deliveries,
    bytes: state.bytes,
    quotaBytes: health?.inbox.quota_bytes ?? null,
    ageSeconds,
    writable: state.writable,
  };
}

function database({ postgres }: Ready): HealthItem {
  const writes = postgres.writable && postgres.schema === 'current';
  return {
    name: 'database',
    status: !postgres.reachable ? 'fail' : writes ? 'ok' : 'warn',
    reachable: postgres.reachable,
    since: postgres.since ?? null,
    schema: postgres.schema,
    lastCommitAt: postgres.last_commit_at ?? null,
  };
}

function search({ search: state }: Ready): HealthItem | null {
  if (state === null || state === undefined) return null;
  const { rebuild, lag_seconds: lagSeconds } = state;
  const rebuilt = rebuild ? rebuild.done_entries / Math.max(1, rebuild.of_entries) : null;
  const slow = lagSeconds > LAG_WARN_SECONDS || rebuilt !== null;
  return { name: 'search', status: slow ? 'warn' : 'ok', lagSeconds, rebuilt };
}

function figures({ figures: state }: Ready): HealthItem | null {
  if (state === null || state === undefined) return null;
  const lagSeconds = state.lag_seconds;
  return { name: 'figures', status: lagSeconds > LAG_WARN_SECONDS ? 'warn' : 'ok', lagSeconds };
}

/** The standby that answers are read from; without it they are read from the primary. */
function standby({ replica }: Ready): HealthItem | null {
  if (replica === null || replica === undefined) return null;
  const { used, state, lag_seconds: lagSeconds = null } = replica;
  return { name: 'standby', status: used ? 'ok' : 'warn', used, state, lagSeconds };
}

function disk({ free_bytes: freeBytes, total_bytes: totalBytes }: Disk): HealthItem {
  const share = totalBytes > 0 ? freeBytes / totalBytes : 0;
  const low = share < DISK_WARN_SHARE ? 'warn' : 'ok';
  return { name: 'disk', status: share < DISK_FAIL_SHARE ? 'fail' : low, freeBytes, totalBytes };
}
