import { Requires } from '../../app/Requires';
import { Page } from '../../components/Page';
import { useTexts } from '../../texts';
import { Erasures } from './Erasures';
import { Holds } from './Holds';
import { Kept } from './Kept';
import styles from './retention.module.css';
import { TargetForm } from './TargetForm';

export default function RetentionView() {
  const { retention } = useTexts();
  return (
    <Requires scope="erase">
      <Page title={retention.title}>
        <div className={styles.columns}>
          <div>
            <TargetForm />
            <Holds />
          </div>
          <div>
            <Kept />
            <Erasures />
          </div>
        </div>
      </Page>
    </Requires>
  );
}
