import type { Tone } from '../../components/Badge';
import { OUTCOMES, type Outcome } from './search';

export const OUTCOME_TONES: Record<Outcome, Tone> = {
  stored: 'success',
  duplicate: 'neutral',
  test: 'accent',
  unhandled: 'neutral',
  quarantined: 'danger',
};

/** Returns the outcome of this name, or undefined for one that a later version has. */
export function knownOutcome(name: string): Outcome | undefined {
  return OUTCOMES.find((one) => one === name);
}
