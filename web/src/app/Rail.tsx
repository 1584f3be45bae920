import { Link } from '@tanstack/react-router';
import { Icon } from '../components/Icon';
import { useFormat } from '../format/use-format';
import { useTexts } from '../texts';
import { emitCommand } from './commands';
import { visiblePlaces } from './places';
import { useSession } from './session';
import { SettingsMenu } from './SettingsMenu';
import styles from './Shell.module.css';

/** The places at the left; a bar at the bottom on a phone. */
export function Rail() {
  const { can } = useSession();
  const { common, shell } = useTexts();
  const { zone } = useFormat();
  const places = visiblePlaces(can);
  return (
    <nav className={styles.rail} aria-label={shell.places}>
      <span className={styles.brand}>{common.product}</span>
      <ul>
        {places.map((place) => (
          <li key={place.name}>
            <Link to={place.path} className={styles.place}>
              <Icon name={place.icon} />
              <span className={styles.label}>{shell[place.name]}</span>
            </Link>
          </li>
        ))}
      </ul>
      <span className={styles.spacer} />
      <button
        type="button"
        className={`${styles.place ?? ''} ${styles.wideOnly ?? ''}`}
        title={`${shell.commands} (Ctrl K)`}
        onClick={() => {
          emitCommand('palette');
        }}
      >
        <Icon name="command" />
        <span className={styles.label}>{shell.commands}</span>
      </button>
      <SettingsMenu
        className={styles.place ?? ''}
        labelClassName={styles.label ?? ''}
        label={shell.zoneShort(zone)}
        places={places.slice(4)}
      />
    </nav>
  );
}
