import { Requires } from '../../app/Requires';
import { Page } from '../../components/Page';
import { useTexts } from '../../texts';

export default function HealthView() {
  const { health } = useTexts();
  return (
    <Requires scope="admin">
      <Page title={health.title}>{null}</Page>
    </Requires>
  );
}
