import {
  deleteAgentsAgentId,
  deleteAgentsAgentIdHold,
  deleteSessionsSessionId,
  deleteSessionsSessionIdHold,
  getAgentsAgentId,
  getSessionsSessionId,
  putAgentsAgentIdHold,
  putSessionsSessionIdHold,
  type Agent,
  type Hold,
  type Receipt,
  type Session,
} from '../../api/generated';
import type { Target } from './search';

export type Found = { kind: 'session'; session: Session } | { kind: 'agent'; agent: Agent };

/** Returns what the target is now. */
export async function findTarget({ kind, id }: Target, signal: AbortSignal): Promise<Found> {
  if (kind === 'agent') {
    return { kind, agent: (await getAgentsAgentId({ path: { agent_id: id }, signal })).data };
  }
  return { kind, session: (await getSessionsSessionId({ path: { session_id: id }, signal })).data };
}

export async function holdTarget({ kind, id }: Target): Promise<void> {
  if (kind === 'agent') await putAgentsAgentIdHold({ path: { agent_id: id } });
  else await putSessionsSessionIdHold({ path: { session_id: id } });
}

export async function releaseHold({ agent_id, session_id, source }: Hold): Promise<void> {
  if (typeof session_id !== 'string') {
    await deleteAgentsAgentIdHold({ path: { agent_id } });
    return;
  }
  const query = { agent_id, ...(typeof source === 'string' && { source }) };
  await deleteSessionsSessionIdHold({ path: { session_id }, query });
}

export async function eraseTarget({ kind, id }: Target): Promise<Receipt> {
  if (kind === 'agent') return (await deleteAgentsAgentId({ path: { agent_id: id } })).data;
  return (await deleteSessionsSessionId({ path: { session_id: id } })).data;
}
