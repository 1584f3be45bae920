import type { ApiError } from '../../api/error';
import { Button } from '../../components/Button';
import { useTexts } from '../../texts';
import layout from '../../components/layout.module.css';
import type { Target } from './search';

interface Props {
  error: ApiError;
  onChoose: (target: Target) => void;
}

/** The sessions that an ID may mean, to choose from. */
export function Ambiguous({ error, onChoose }: Props) {
  const { retention } = useTexts();
  return (
    <div role="alert" className={layout.section}>
      <p>{retention.ambiguous}</p>
      {error.problem.sessions?.map(({ id, agent_id, source }) => (
        <Button
          key={id}
          className={layout.start}
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
