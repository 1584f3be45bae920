import { numberIn, textIn, type Row } from './query';

export interface SilentAgent {
  agent: string;
  silent: number;
  sessions: number;
  rate: number | null;
}

/** Sessions from which on a share means something. */
const LEAST_SESSIONS = 5;

/** Returns silent sessions by agent from the rows of `top?metric=silent_rate`, and their sums. */
export function silentAgents(rows: readonly Row[], other: Row | undefined) {
  const agents = rows.map((row): SilentAgent => ({
    agent: textIn(row, 'agent_id') ?? '',
    silent: numberIn(row, 'silent_rate_numerator') ?? 0,
    sessions: numberIn(row, 'silent_rate_denominator') ?? 0,
    rate: numberIn(row, 'silent_rate'),
  }));
  const sum = (value: (agent: SilentAgent) => number, rest: number | null) =>
    agents.reduce((total, agent) => total + value(agent), rest ?? 0);
  return {
    rows: agents,
    silent: sum((agent) => agent.silent, numberIn(other, 'silent_rate_numerator')),
    sessions: sum((agent) => agent.sessions, numberIn(other, 'silent_rate_denominator')),
    worst: agents.find((agent) => agent.sessions >= LEAST_SESSIONS && agent.silent > 0) ?? null,
  };
}
