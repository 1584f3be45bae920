import { Link } from '@tanstack/react-router';
import { useSetup } from '../../api/use-setup';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import styles from './deliveries.module.css';

/** Says that deliveries were refused, since those are not in the list, and leads to the reasons. */
export function Refused() {
  const { deliveries } = useTexts();
  const format = useFormat();
  const { data } = useSetup();
  if (data === undefined) return null;
  const all = data.sources.flatMap((source) => source.refusals);
  // What cannot be read is answered with 422, too, and is in the list.
  const refused = [...all, ...(data.unknown_source ? [data.unknown_source] : [])].filter(
    ({ reason }) => reason !== 'unreadable_delivery',
  );
  const count = refused.reduce((sum, one) => sum + one.count, 0);
  if (count === 0) return null;
  return (
    <p className={styles.refused}>
      {deliveries.refused(format.count(count))} <Link to="/setup">{deliveries.whyRefused}</Link>
    </p>
  );
}
