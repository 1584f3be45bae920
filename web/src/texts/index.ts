import { createContext, useContext } from 'react';
import type { Texts } from './en';
import { core } from './en/core';

export type { Texts } from './en';

export const LANGUAGES = ['en', 'de'] as const;
export type Language = (typeof LANGUAGES)[number];
export const LANGUAGE_NAMES: Record<Language, string> = { en: 'English', de: 'Deutsch' };

/** English. What the first view does not need is added by `loadFeatureTexts`. */
export const english = { ...core } as Texts;

export const TextsContext = createContext<Texts>(english);

/** Returns the texts in the language of the page. */
export function useTexts(): Texts {
  return useContext(TextsContext);
}

/** Loads a language; English is always here. */
export async function loadTexts(language: Language): Promise<Texts> {
  return language === 'de' ? (await import('./de')).de : english;
}

/** Adds the English texts of the features that are not part of the first view. */
export async function loadFeatureTexts(): Promise<void> {
  Object.assign(english, (await import('./en/features')).features);
}
