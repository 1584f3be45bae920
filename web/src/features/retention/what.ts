import type { Texts } from '../../texts';

interface Subject {
  session_id?: string | null;
}

/** Returns the words for a session, or for a whole agent. */
export function whatText({ session_id }: Subject, texts: Texts['retention']): string {
  return typeof session_id === 'string' ? texts.session(session_id) : texts.wholeAgent;
}
