import { Requires } from '../../app/Requires';
import { Page } from '../../components/Page';
import { useTexts } from '../../texts';

export default function OverviewView() {
  const { overview } = useTexts();
  return (
    <Requires scope="analytics">
      <Page title={overview.title}>{null}</Page>
    </Requires>
  );
}
