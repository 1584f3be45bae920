import { useNavigate } from '@tanstack/react-router';
import { useCommand } from '../../../app/commands';

interface Target {
  id: string;
  message: string | undefined;
}

/** Goes to the next and the previous item of a list by `j` and `k`. */
export function useStep<Item>(
  items: readonly Item[],
  selected: number,
  targetOf: (item: Item) => Target,
): void {
  const navigate = useNavigate();
  const step = (by: number) => {
    const item = items[Math.max(0, Math.min(items.length - 1, selected + by))];
    if (item === undefined) return;
    const { id, message } = targetOf(item);
    void navigate({
      to: '/conversations/$id',
      params: { id },
      search: (previous) => ({ ...previous, message }),
    });
  };
  useCommand('next', () => {
    step(1);
  });
  useCommand('previous', () => {
    step(-1);
  });
}
