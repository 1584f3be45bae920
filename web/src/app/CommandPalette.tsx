import { useNavigate } from '@tanstack/react-router';
import { useId, useMemo, useState, type KeyboardEvent } from 'react';
import { Dialog } from '../components/Dialog';
import { useTexts } from '../texts';
import styles from './CommandPalette.module.css';
import { emitCommand, useCommand } from './commands';
import { matchCommands, type Command } from './match-commands';
import { visiblePlaces } from './places';
import { useSession } from './session';
import { THEMES, useSettings } from './settings';

/** Finds places and commands by typing; opened by Ctrl+K. */
export function CommandPalette() {
  const [open, setOpen] = useState(false);
  const { commands } = useTexts();
  useCommand('palette', () => {
    setOpen(true);
  });
  const close = () => {
    setOpen(false);
  };
  return (
    <Dialog open={open} title={commands.title} onClose={close}>
      {open && <CommandList onDone={close} />}
    </Dialog>
  );
}

function CommandList({ onDone }: { onDone: () => void }) {
  const { commands } = useTexts();
  const [text, setText] = useState('');
  const [active, setActive] = useState(0);
  const id = useId();
  const all = useCommands();
  const found = useMemo(() => matchCommands(all, text), [all, text]);
  const current = Math.min(active, found.length - 1);

  const run = (command: Command | undefined) => {
    if (command === undefined) return;
    onDone();
    command.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setActive((current + 1) % found.length);
    else if (event.key === 'ArrowUp') setActive((current - 1 + found.length) % found.length);
    else if (event.key === 'Enter') run(found[current]);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <input
        className={styles.input}
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={found[current] === undefined ? undefined : `${id}-${current}`}
        aria-label={commands.placeholder}
        placeholder={commands.placeholder}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setActive(0);
        }}
        onKeyDown={onKeyDown}
      />
      {found.length === 0 && <p role="status">{commands.empty}</p>}
      <div role="listbox" id={id} aria-label={commands.title} className={styles.list}>
        {found.map((command, index) => (
          // The field keeps the focus; keys reach the options through it.
          // eslint-disable-next-line jsx-a11y/click-events-have-key-events
          <div
            key={command.label}
            id={`${id}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === current}
            onClick={() => {
              run(command);
            }}
          >
            {command.label}
          </div>
        ))}
      </div>
    </>
  );
}

function useCommands(): Command[] {
  const { commands, shell } = useTexts();
  const { can, end } = useSession();
  const settings = useSettings();
  const navigate = useNavigate();
  const themeNames = { system: shell.themeSystem, light: shell.themeLight, dark: shell.themeDark };
  return [
    ...visiblePlaces(can).map((place) => ({
      label: commands.goTo(shell[place.name]),
      run: () => void navigate({ to: place.path }),
    })),
    ...THEMES.map((theme) => ({
      label: `${shell.theme}: ${themeNames[theme]}`,
      run: () => {
        settings.change({ theme });
      },
    })),
    {
      label: `${shell.zone}: UTC`,
      run: () => {
        settings.change({ zone: 'UTC' });
      },
    },
    {
      label: shell.shortcuts,
      run: () => {
        emitCommand('shortcuts');
      },
    },
    { label: shell.signOut, run: () => void end() },
  ];
}
