import type { ErrorComponentProps } from '@tanstack/react-router';
import { ErrorNotice, Notice } from '../components/Notice';
import { useTexts } from '../texts';

/** Shown where no route matches. */
export function NotFound() {
  const { states } = useTexts();
  return <Notice heading={states.notFound} text={states.notFoundHelp} level={1} />;
}

/** Shown where a view could not be drawn. */
export function RouteError({ error, reset }: ErrorComponentProps) {
  return <ErrorNotice error={error} onRetry={reset} />;
}
