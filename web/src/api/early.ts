declare global {
  interface Window {
    /** Answers that `early.js` asked for while the scripts were on their way, by address. */
    earlyAnswers?: Map<string, Promise<Response>>;
  }
}

/** An answer that waited for longer is not taken: it may no longer be true. */
const FRESH_MS = 10_000;

/** Returns the answer that was asked for early, once; null where there is none. */
export async function takeEarlyAnswer(url: string): Promise<Response | null> {
  const answer = window.earlyAnswers?.get(url);
  window.earlyAnswers?.delete(url);
  if (answer === undefined || performance.now() > FRESH_MS) return null;
  // What failed is asked for once more.
  return answer.catch(() => null);
}

/** Was anything under the path asked for early? */
export function isAskedEarly(path: string): boolean {
  return [...(window.earlyAnswers?.keys() ?? [])].some((url) => url.startsWith(path));
}
