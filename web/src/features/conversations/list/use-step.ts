import { useNavigate } from '@tanstack/react-router';
import { useCommand } from '../../../app/commands';

export interface Target {
  id: string;
  message: string | undefined;
}

/** Goes to the next and the previous item of a list by `j` and `k`; returns how to go to any. */
export function useStep<Item>(
  items: readonly Item[],
  selected: number,
  targetOf: (item: Item) => Target,
): (target: Target) => void {
  const navigate = useNavigate();
  const go = ({ id, message }: Target) => {
    void navigate({
      to: '/conversations/$id',
      params: { id },
      search: (previous) => ({ ...previous, message }),
    });
  };
  const step = (by: number) => {
    const item = items[Math.max(0, Math.min(items.length - 1, selected + by))];
    if (item !== undefined) go(targetOf(item));
  };
  useCommand('next', () => {
    step(1);
  });
  useCommand('previous', () => {
    step(-1);
  });
  return go;
}
