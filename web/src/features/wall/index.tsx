import { Notice } from '../../components/Notice';
import { useTexts } from '../../texts';
import { useWallSession } from './use-wall-session';
import { Wall } from './Wall';
import styles from './wall.module.css';

/** Figures on a screen in a lobby: no text of conversations, no controls, signed in by a link. */
export default function WallView() {
  const state = useWallSession();
  const { wall } = useTexts();
  if (state === 'ready') return <Wall />;
  if (state === 'invalid') {
    return (
      <main>
        <Notice level={1} heading={wall.invalidTitle} text={wall.invalidText} />
      </main>
    );
  }
  return (
    <main className={styles.waiting}>
      <p role="status">{state === 'waiting' ? wall.waiting : wall.signingIn}</p>
    </main>
  );
}
