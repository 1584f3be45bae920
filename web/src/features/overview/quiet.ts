import { mean } from '../../components/charts/summary';
import { zoneOffsetMs } from './zone';

/** Weeks that are looked back on. */
export const WEEKS = 4;
const WEEK_MS = 7 * 86_400_000;
const HOUR_MS = 3_600_000;
/** Windows end at a multiple of this, so that the same ones are asked for a while. */
export const WINDOW_STEP_MS = 5 * 60_000;
/** A number is unusual where chance makes one as low or lower less often than this. */
const UNUSUAL = 0.05;

export interface Window {
  from: string;
  to: string;
}

/** Returns the window that ends now, and the same ones of the weeks before on the local clock. */
export function windowsOf(now: number, hours: number, zone: string): Window[] {
  const end = Math.floor(now / WINDOW_STEP_MS) * WINDOW_STEP_MS;
  return Array.from({ length: WEEKS + 1 }, (_, week) => {
    const at = weeksBefore(end, week, zone);
    return {
      from: new Date(at - hours * HOUR_MS).toISOString(),
      to: new Date(at).toISOString(),
    };
  });
}

/** Returns the instant whole weeks before at the same local time, also across a shift of the clock. */
export function weeksBefore(instant: number, weeks: number, zone: string): number {
  const moved = instant - weeks * WEEK_MS;
  return moved + zoneOffsetMs(instant, zone) - zoneOffsetMs(moved, zone);
}

/** Returns the probability of at most `count` where `expected` is usual, if events come by chance (Poisson). */
export function chanceOfAtMost(count: number, expected: number): number {
  let term = Math.exp(-expected);
  let sum = term;
  for (let index = 1; index <= count; index += 1) {
    term *= expected / index;
    sum += term;
  }
  return Math.min(1, sum);
}

export type QuietState = 'quiet' | 'normal' | 'unknown';

export interface QuietAgent {
  agent: string;
  now: number;
  weeks: number[];
  usual: number;
  state: QuietState;
}

/**
 * Returns each agent of any window, the most unusual first. Where the current window has more agents
 * than are known (`complete` is false), those that it does not name are left out.
 */
export function compareWindows(
  windows: readonly ReadonlyMap<string, number>[],
  complete = true,
): QuietAgent[] {
  const [current, ...before] = windows;
  const known = complete ? windows : windows.slice(0, 1);
  const names = new Set(known.flatMap((window) => [...window.keys()]));
  return [...names]
    .map((agent): QuietAgent => {
      const now = current?.get(agent) ?? 0;
      const weeks = before.map((window) => window.get(agent) ?? 0);
      const usual = mean(weeks);
      return { agent, now, weeks, usual, state: stateOf(now, usual) };
    })
    .sort((a, b) => rank(a) - rank(b) || b.usual - b.now - (a.usual - a.now));
}

function stateOf(now: number, usual: number): QuietState {
  // So little is usual that nothing at all would be no surprise.
  if (chanceOfAtMost(0, usual) >= UNUSUAL) return 'unknown';
  return chanceOfAtMost(now, usual) < UNUSUAL ? 'quiet' : 'normal';
}

function rank(agent: QuietAgent): number {
  return ['quiet', 'normal', 'unknown'].indexOf(agent.state);
}
