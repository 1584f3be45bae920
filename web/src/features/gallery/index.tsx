import { Page } from '../../components/Page';
import { useTexts } from '../../texts';

export default function GalleryView() {
  const { gallery } = useTexts();
  return <Page title={gallery.title}>{null}</Page>;
}
