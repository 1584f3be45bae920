import { Requires } from '../../app/Requires';
import { Page } from '../../components/Page';
import { useTexts } from '../../texts';

export default function KeysView() {
  const { keys } = useTexts();
  return (
    <Requires scope="admin">
      <Page title={keys.title}>{null}</Page>
    </Requires>
  );
}
