import type { ReactNode } from 'react';
import type { Scope } from '../api/browser-session';
import { Notice } from '../components/Notice';
import { useTexts } from '../texts';
import { useSession } from './session';

/** Shows `children` to a key with the scope, and says what is missing to any other. */
export function Requires({ scope, children }: { scope: Scope; children: ReactNode }) {
  const { can } = useSession();
  const { states } = useTexts();
  if (can(scope)) return children;
  return <Notice heading={states.noRights} text={states.noRightsHelp(scope)} level={1} />;
}
