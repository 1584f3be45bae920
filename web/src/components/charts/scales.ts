import { scaleLinear } from 'd3-scale';

export type ValueUnit = 'count' | 'ratio' | 'seconds';

/** Steps of an axis of durations, in seconds: people read 5 min better than 250 s. */
const DURATION_STEPS_S = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600,
  43_200, 86_400,
] as const;
const DAY_S = 86_400;

/** Returns the ticks of an axis from 0: the last one is `max` or more, so it is the axis' end. */
export function valueTicks(max: number, unit: ValueUnit, wanted = 4): number[] {
  if (!(max > 0)) return unit === 'ratio' ? [0, 0.5, 1] : [0, 1];
  const step = unit === 'seconds' ? durationStep(max / wanted) : numberStep(max, unit, wanted);
  const last = Math.ceil(max / step - 1e-9);
  return Array.from({ length: last + 1 }, (_, index) => rounded(index * step));
}

function durationStep(least: number): number {
  return DURATION_STEPS_S.find((step) => step >= least) ?? Math.ceil(least / DAY_S) * DAY_S;
}

function numberStep(max: number, unit: ValueUnit, wanted: number): number {
  const [first = 0, second = max] = scaleLinear([0, max], [0, 1]).ticks(wanted);
  const step = second - first;
  return unit === 'count' ? Math.max(1, Math.ceil(step)) : step;
}

/** Removes what binary fractions add: 3 × 0.1 is 0.30000000000000004. */
function rounded(value: number): number {
  return Number(value.toPrecision(12));
}

/**
 * Returns which of `count` labels are shown where each needs `labelWidth` of `width` pixels: evenly
 * spaced, the first one always, preferring a step that `marks` (such as midnights) start with.
 */
export function shownTicks(
  count: number,
  width: number,
  labelWidth: number,
  marks: readonly number[] = [],
): number[] {
  const fit = Math.max(1, Math.floor(width / labelWidth));
  if (marks.length > 1 && marks.length <= fit) return [...marks];
  if (marks.length > fit) return everyNth(marks, Math.ceil(marks.length / fit));
  const all = Array.from({ length: count }, (_, index) => index);
  return everyNth(all, Math.max(1, Math.ceil(count / fit)));
}

function everyNth(list: readonly number[], step: number): number[] {
  return list.filter((_, index) => index % step === 0);
}

/** Returns the index of the point at `x` where `count` points share `width` from edge to edge. */
export function pointAt(x: number, width: number, count: number): number {
  if (count <= 1 || width <= 0) return 0;
  return clamp(Math.round((x / width) * (count - 1)), 0, count - 1);
}

/** Returns the index of the band at `x` where `count` bands share `width`. */
export function bandAt(x: number, width: number, count: number): number {
  if (count <= 1 || width <= 0) return 0;
  return clamp(Math.floor((x / width) * count), 0, count - 1);
}

export function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(value, high));
}

/** Returns the opacity of a cell: 0 for nothing, and then in steps that can be told apart. */
export function heatOpacity(value: number, max: number): number {
  if (!(value > 0) || !(max > 0)) return 0;
  return 0.1 + 0.9 * Math.sqrt(Math.min(1, value / max));
}
