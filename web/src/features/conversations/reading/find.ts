import { createContext } from 'react';

/** What is being looked for inside the conversation; empty where nothing is. */
export const FindContext = createContext('');

export interface TextPiece {
  text: string;
  hit: boolean;
  start: number;
}

/** Cuts a text into what was looked for, in any case, and what lies between. */
export function splitHits(text: string, needle: string): TextPiece[] {
  const pieces: TextPiece[] = [];
  let from = 0;
  for (const start of hitPositions(text, needle)) {
    if (start > from) pieces.push({ text: text.slice(from, start), hit: false, start: from });
    from = start + needle.length;
    pieces.push({ text: text.slice(start, from), hit: true, start });
  }
  if (from < text.length) pieces.push({ text: text.slice(from), hit: false, start: from });
  return pieces;
}

/** Returns where the needle begins, in any case. */
export function hitPositions(text: string, needle: string): number[] {
  if (needle === '') return [];
  const lower = foldCase(text);
  const wanted = foldCase(needle);
  const found: number[] = [];
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, at + wanted.length)) {
    found.push(at);
  }
  return found;
}

/** Lower case that keeps the length, so that positions stay those of the text. */
function foldCase(text: string): string {
  const lower = text.toLowerCase();
  if (lower.length === text.length) return lower;
  return Array.from(text, (letter) => {
    const one = letter.toLowerCase();
    return one.length === letter.length ? one : letter;
  }).join('');
}

/** Returns the index of the hit after so many steps from before the first, or back from the last. */
export function hitAt(steps: number, length: number): number {
  if (steps === 0 || length === 0) return -1;
  const from = steps > 0 ? steps - 1 : steps;
  return ((from % length) + length) % length;
}
