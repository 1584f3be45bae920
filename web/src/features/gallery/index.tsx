import { Page } from '../../components/Page';
import { useTexts } from '../../texts';
import { Controls } from './Controls';
import styles from './gallery.module.css';
import { States } from './States';
import { Structure } from './Structure';
import { Tokens } from './Tokens';

/** Tokens and components in each of their states; axe looks at this page in both themes. */
export default function GalleryView() {
  const { gallery } = useTexts();
  return (
    <Page title={gallery.title}>
      <p>{gallery.help}</p>
      <div className={styles.gallery}>
        <Tokens />
        <Controls />
        <Structure />
        <States />
      </div>
    </Page>
  );
}
