import { Link } from '@tanstack/react-router';
import { Icon } from '../components/Icon';
import { Popover } from '../components/Popover';
import { Select } from '../components/Field';
import { Button } from '../components/Button';
import { LANGUAGE_NAMES, LANGUAGES, useTexts } from '../texts';
import type { Place } from './places';
import { useSession } from './session';
import { deviceZone, THEMES, useSettings } from './settings';
import styles from './SettingsMenu.module.css';
import { zoneNames } from './zones';

interface Props {
  className: string;
  labelClassName: string;
  label: string;
  /** Places that have no room in the bar of a phone. */
  places: Place[];
}

/** Zone, theme, language and sign-out. Its button names the zone of all times on the page. */
export function SettingsMenu({ className, labelClassName, label, places }: Props) {
  const { common, shell } = useTexts();
  const { session, end } = useSession();
  return (
    <Popover
      label={`${shell.settings} – ${label}`}
      className={className}
      trigger={
        <>
          <Icon name="settings" />
          <span className={`${labelClassName} ${styles.wide}`}>{label}</span>
          <span className={styles.narrow}>{common.more}</span>
        </>
      }
    >
      <div className={styles.panel}>
        <p className={styles.narrow}>{label}</p>
        <ul className={styles.places}>
          {places.map((place) => (
            <li key={place.name}>
              <Link to={place.path}>{shell[place.name]}</Link>
            </li>
          ))}
        </ul>
        <SettingsFields />
        <a href="/docs">{shell.apiReference}</a>
        {session?.key_name != null && <p className={styles.name}>{session.key_name}</p>}
        <Button onClick={() => void end()}>{shell.signOut}</Button>
      </div>
    </Popover>
  );
}

function SettingsFields() {
  const { shell } = useTexts();
  const { language, zone, theme, change } = useSettings();
  const themeNames = { system: shell.themeSystem, light: shell.themeLight, dark: shell.themeDark };
  return (
    <>
      <Select
        label={shell.zone}
        value={zone}
        options={zoneNames(zone, deviceZone()).map((name) => ({ value: name, label: name }))}
        onChange={(value) => {
          change({ zone: value });
        }}
      />
      <Select
        label={shell.theme}
        value={theme}
        options={THEMES.map((name) => ({ value: name, label: themeNames[name] }))}
        onChange={(value) => {
          change({ theme: value });
        }}
      />
      <Select
        label={shell.language}
        value={language}
        options={LANGUAGES.map((name) => ({ value: name, label: LANGUAGE_NAMES[name] }))}
        onChange={(value) => {
          change({ language: value });
        }}
      />
    </>
  );
}
