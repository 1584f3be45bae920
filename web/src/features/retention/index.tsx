import { Requires } from '../../app/Requires';
import { Page } from '../../components/Page';
import { useTexts } from '../../texts';

export default function RetentionView() {
  const { retention } = useTexts();
  return (
    <Requires scope="erase">
      <Page title={retention.title}>{null}</Page>
    </Requires>
  );
}
