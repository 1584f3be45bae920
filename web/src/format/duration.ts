import { decimal } from './number';

/** Returns a duration in its two largest units, such as `1 h 5 min`, `3 min 20 s`, `0.4 s`. */
export function duration(seconds: number, language: string): string {
  const total = Math.max(0, seconds);
  if (total < 0.0005) return '0 s';
  if (total < 1) return `${decimal(total * 1000, language, 0)} ms`;
  if (total < 10) return `${decimal(total, language, 1)} s`;
  const whole = Math.round(total);
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor((whole % 86_400) / 3_600), 'h'],
    [Math.floor((whole % 3_600) / 60), 'min'],
    [whole % 60, 's'],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${decimal(value, language, 0)} ${unit}`)
    .join(' ');
}
