import { Requires } from '../../app/Requires';
import { Page } from '../../components/Page';
import { useTexts } from '../../texts';

export default function WallView() {
  const { wall } = useTexts();
  return (
    <Requires scope="analytics">
      <Page title={wall.title}>{null}</Page>
    </Requires>
  );
}
