import { Requires } from '../../app/Requires';
import { useSession } from '../../app/session';
import { Page } from '../../components/Page';
import { useTexts } from '../../texts';
import { Erasures } from './Erasures';
import { Holds } from './Holds';
import { Kept } from './Kept';
import layout from '../../components/layout.module.css';
import { TargetForm } from './TargetForm';

export default function RetentionView() {
  const { retention } = useTexts();
  const { can, session } = useSession();
  // What is kept is about all agents.
  const seesAll = can('admin') && session?.agents === null;
  return (
    <Requires scope="erase">
      <Page title={retention.title}>
        <div className={layout.columns}>
          <div>
            <TargetForm />
            {can('admin') && <Holds />}
          </div>
          <div>
            {seesAll && <Kept />}
            <Erasures />
          </div>
        </div>
      </Page>
    </Requires>
  );
}
