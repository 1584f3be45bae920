import { createContext, useContext } from 'react';
import { en, type Texts } from './en';

export type { Texts } from './en';

export const LANGUAGES = ['en', 'de'] as const;
export type Language = (typeof LANGUAGES)[number];
export const LANGUAGE_NAMES: Record<Language, string> = { en: 'English', de: 'Deutsch' };

export const TextsContext = createContext<Texts>(en);

/** Returns the texts in the language of the page. */
export function useTexts(): Texts {
  return useContext(TextsContext);
}

/** Loads a language; English is always here. */
export async function loadTexts(language: Language): Promise<Texts> {
  return language === 'de' ? (await import('./de')).de : en;
}
