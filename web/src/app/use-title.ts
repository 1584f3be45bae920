import { useEffect } from 'react';
import { useTexts } from '../texts';

/** Names the view in the title of the window. */
export function useTitle(...parts: string[]): void {
  const { common } = useTexts();
  const title = [...parts, common.product].join(' – ');
  useEffect(() => {
    document.title = title;
  }, [title]);
}
