import type { ApiError } from '../../api/error';
import { Button } from '../../components/Button';
import { useTexts } from '../../texts';
import styles from './retention.module.css';
import type { Target } from './search';

interface Props {
  error: ApiError;
  onChoose: (target: Target) => void;
}

/** The sessions that an ID may mean, to choose from. */
export function Ambiguous({ error, onChoose }: Props) {
  const { retention } = useTexts();
  return (
    <div role="alert" className={styles.section}>
      <p>{retention.ambiguous}</p>
      {error.problem.sessions?.map(({ id, agent_id, source }) => (
        <Button
          key={id}
          className={styles.start}
          onClick={() => {
            onChoose({ kind: 'session', id });
          }}
        >
          {`${agent_id} · ${source}`}
        </Button>
      ))}
    </div>
  );
}
