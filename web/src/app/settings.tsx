import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';
import { isZone } from '../format/time';
import { english, LANGUAGES, loadTexts, TextsContext, type Language, type Texts } from '../texts';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

interface Stored {
  language: Language;
  zone: string;
  theme: Theme;
}

interface Settings extends Stored {
  change: (change: Partial<Stored>) => void;
}

const STORAGE_KEY = 'verbatim.settings';

/** Returns the zone of this device. */
export function deviceZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function defaultLanguage(): Language {
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2));
  return LANGUAGES.find((language) => wanted[0] === language) ?? 'en';
}

/** Returns the stored settings; whatever does not make sense is replaced by its default. */
export function readSettings(text: string | null): Stored {
  const found = parse(text);
  return {
    language: LANGUAGES.find((one) => one === found['language']) ?? defaultLanguage(),
    zone: typeof found['zone'] === 'string' && isZone(found['zone']) ? found['zone'] : deviceZone(),
    theme: THEMES.find((one) => one === found['theme']) ?? 'system',
  };
}

function parse(text: string | null): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** Reads storage, which a browser may refuse. */
function stored(): string | null {
  try {
    return localStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
}

function store(settings: Stored): void {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(settings));
  } catch {
    // Settings then last as long as the page.
  }
}

const SettingsContext = createContext<Settings | null>(null);

/** Returns language, zone and theme, and how to change them. */
export function useSettings(): Settings {
  const settings = useContext(SettingsContext);
  if (settings === null) throw new Error('useSettings needs a SettingsProvider');
  return settings;
}

/** Applies the settings to the document, and keeps them equal over all tabs. */
export function SettingsProvider({ children }: { children: ReactNode }) {
  const [settings, setSettings] = useState(() => readSettings(stored()));
  const texts = useLoadedTexts(settings.language);

  useEffect(() => {
    const root = document.documentElement;
    root.lang = settings.language;
    if (settings.theme === 'system') delete root.dataset['theme'];
    else root.dataset['theme'] = settings.theme;
  }, [settings]);

  useEffect(() => {
    const onStorage = (event: StorageEvent) => {
      if (event.key === STORAGE_KEY) setSettings(readSettings(event.newValue));
    };
    window.addEventListener('storage', onStorage);
    return () => {
      window.removeEventListener('storage', onStorage);
    };
  }, []);

  const value = useMemo(
    () => ({
      ...settings,
      change: (change: Partial<Stored>) => {
        const next = { ...settings, ...change };
        store(next);
        setSettings(next);
      },
    }),
    [settings],
  );

  return (
    <SettingsContext value={value}>
      <TextsContext value={texts}>{children}</TextsContext>
    </SettingsContext>
  );
}

function useLoadedTexts(language: Language): Texts {
  const [texts, setTexts] = useState(english);
  useEffect(() => {
    let current = true;
    void loadTexts(language).then((loaded) => {
      if (current) setTexts(loaded);
    });
    return () => {
      current = false;
    };
  }, [language]);
  return texts;
}
