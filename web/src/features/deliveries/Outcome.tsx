import { Badge } from '../../components/Badge';
import { useTexts } from '../../texts';
import { knownOutcome, OUTCOME_TONES } from './tones';

/** What became of a delivery, as a badge. */
export function OutcomeBadge({ outcome }: { outcome: string }) {
  const { deliveries } = useTexts();
  const known = knownOutcome(outcome);
  if (known === undefined) return <Badge>{outcome}</Badge>;
  return <Badge tone={OUTCOME_TONES[known]}>{deliveries.outcomes[known]}</Badge>;
}
