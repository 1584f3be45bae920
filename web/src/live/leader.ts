/** How long a lease lasts where the browser has no locks; it is renewed three times as often. */
const LEASE_MS = 6_000;
const SETTLE_MS = 60;

/**
 * Calls `run` in one tab of the browser at a time: at once or as soon as the tab before has gone.
 * Web Locks are there only in a secure context; over plain HTTP from another host a lease in storage
 * stands in for them.
 */
export async function leadOne(
  name: string,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  // The types say that locks are always there.
  const locks = navigator.locks as LockManager | undefined;
  if (locks === undefined) {
    await leadByLease(name, signal, run);
    return;
  }
  await locks
    .request(name, { signal }, () => run(signal))
    .catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
}

interface Lease {
  owner: string;
  until: number;
}

async function leadByLease(
  name: string,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const owner = `${Date.now()}-${Math.random()}`;
  while (!signal.aborted) {
    if (await takeLease(name, owner)) {
      await runWithLease(name, owner, signal, run);
    } else {
      await wait(LEASE_MS / 3, signal);
    }
  }
}

async function runWithLease(
  name: string,
  owner: string,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const lost = new AbortController();
  const stop = () => {
    lost.abort();
  };
  signal.addEventListener('abort', stop);
  const renewal = setInterval(() => {
    if (isFree(readLease(name), owner, Date.now())) writeLease(name, owner);
    else stop();
  }, LEASE_MS / 3);
  const release = () => {
    if (readLease(name)?.owner === owner) localStorage.removeItem(name);
  };
  window.addEventListener('pagehide', release);
  try {
    await run(lost.signal);
  } finally {
    clearInterval(renewal);
    signal.removeEventListener('abort', stop);
    window.removeEventListener('pagehide', release);
    release();
  }
}

/** Takes the lease where nobody has it; of two tabs that write at once, the later one has it. */
async function takeLease(name: string, owner: string): Promise<boolean> {
  if (!isFree(readLease(name), owner, Date.now())) return false;
  writeLease(name, owner);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  return readLease(name)?.owner === owner;
}

/** May `owner` take the lease? */
export function isFree(lease: Lease | null, owner: string, now: number): boolean {
  return lease === null || lease.owner === owner || lease.until < now;
}

function readLease(name: string): Lease | null {
  try {
    return JSON.parse(localStorage.getItem(name) ?? 'null') as Lease | null;
  } catch {
    return null;
  }
}

function writeLease(name: string, owner: string): void {
  localStorage.setItem(name, JSON.stringify({ owner, until: Date.now() + LEASE_MS }));
}

/** Waits, but not beyond the end of `signal`. */
export function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
