import { useState } from 'react';
import { Dialog } from '../components/Dialog';
import { useTexts } from '../texts';
import { useCommand } from './commands';
import { visiblePlaces } from './places';
import { useSession } from './session';
import styles from './ShortcutsDialog.module.css';

/** Lists the keyboard shortcuts; opened by `?`. */
export function ShortcutsDialog() {
  const [open, setOpen] = useState(false);
  const { shortcuts, shell } = useTexts();
  const { can } = useSession();
  useCommand('shortcuts', () => {
    setOpen(true);
  });
  const rows: [string[], string][] = [
    [['j'], shortcuts.next],
    [['k'], shortcuts.previous],
    [['/'], shortcuts.search],
    [['f'], shortcuts.find],
    [['Ctrl K'], shortcuts.commands],
    [['Esc'], shortcuts.escape],
    [['?'], shortcuts.help],
    ...visiblePlaces(can).map((place): [string[], string] => [
      ['g', place.shortcut],
      shortcuts.goTo(shell[place.name]),
    ]),
  ];
  return (
    <Dialog
      open={open}
      title={shortcuts.title}
      onClose={() => {
        setOpen(false);
      }}
    >
      <dl className={styles.list}>
        {rows.map(([keys, text]) => (
          <div key={text}>
            <dt>{text}</dt>
            <dd>
              {keys.map((key, index) => (
                <span key={key}>
                  {index > 0 && ` ${shortcuts.then} `}
                  <kbd>{key}</kbd>
                </span>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
