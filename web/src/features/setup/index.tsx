import { Requires } from '../../app/Requires';
import { Page } from '../../components/Page';
import { useTexts } from '../../texts';

export default function SetupView() {
  const { setup } = useTexts();
  return (
    <Requires scope="admin">
      <Page title={setup.title}>{null}</Page>
    </Requires>
  );
}
