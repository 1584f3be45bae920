import { Notice } from '../components/Notice';
import { useTexts } from '../texts';
import { visiblePlaces } from './places';
import { Redirect } from './Redirect';
import { useSession } from './session';

/** Leads to the first place that the key may see. */
export function Start() {
  const { can } = useSession();
  const { states } = useTexts();
  const first = visiblePlaces(can)[0];
  if (first === undefined) {
    return <Notice heading={states.noRights} text={states.noRightsHelp('read')} level={1} />;
  }
  return <Redirect to={first.path} />;
}
