/** A message as the funnel sees it: who spoke, and when. */
export interface Spoken {
  user: boolean;
  at: number;
}

/** A session of the sample. */
export interface SampledSession {
  /** In the order of the conversation. */
  messages: readonly Spoken[];
  /** Somebody may still speak. */
  live: boolean;
}

export const STEPS = ['joined', 'spoke', 'second_turn', 'ended'] as const;
export type Step = (typeof STEPS)[number];
export type Funnel = Record<Step, number | null>;

/** Gaps to try out, in seconds. */
export const GAPS_S = [15, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1_800, 3_600] as const;
/** The service's own gap where the settings name no other. */
export const DEFAULT_GAP_S = 300;

/** Returns the gap on the scale that is nearest to the wanted one. */
export function nearestGap(wanted: number): number {
  return GAPS_S.reduce((best, gap) =>
    Math.abs(gap - wanted) < Math.abs(best - wanted) ? gap : best,
  );
}

/** Divides a session where nobody speaks for longer than the gap. */
export function divide(messages: readonly Spoken[], gapSeconds: number): Spoken[][] {
  const visits: Spoken[][] = [];
  let before: Spoken | undefined;
  for (const message of messages) {
    const silence = before === undefined ? Infinity : (message.at - before.at) / 1000;
    if (silence > gapSeconds) visits.push([]);
    visits.at(-1)?.push(message);
    before = message;
  }
  return visits;
}

/** Counts user turns: unbroken runs of user messages. */
export function countTurns(visit: readonly Spoken[]): number {
  return visit.filter((message, index) => message.user && visit[index - 1]?.user !== true).length;
}

/** Counts visits by step. A session without a message is a visit of somebody who came and did not speak. */
export function countFunnel(sessions: readonly SampledSession[], gapSeconds: number) {
  const funnel = { joined: 0, spoke: 0, second_turn: 0, ended: 0 };
  for (const session of sessions) {
    const visits = session.messages.length === 0 ? [[]] : divide(session.messages, gapSeconds);
    visits.forEach((visit, index) => {
      const turns = countTurns(visit);
      const over = index < visits.length - 1 || !session.live;
      funnel.joined += 1;
      if (turns >= 1) funnel.spoke += 1;
      if (turns >= 2) funnel.second_turn += 1;
      if (turns >= 2 && over && visit.at(-1)?.user === false) funnel.ended += 1;
    });
  }
  return funnel;
}

/** Returns the funnel by session from the catalogue's figures; the last step is not among them. */
export function funnelOfFigures(value: (metric: string) => number | null): Funnel {
  const engaged = value('engaged_sessions');
  const single = value('single_turn_sessions');
  return {
    joined: value('sessions'),
    spoke: engaged,
    second_turn: engaged === null || single === null ? null : engaged - single,
    ended: null,
  };
}

/** Returns a step as a part of another one. */
export function partOf(value: number | null, whole: number | null | undefined): number | null {
  return value === null || whole === null || whole === undefined || whole === 0
    ? null
    : value / whole;
}
