import { randomUUID } from 'node:crypto';
import { expect } from '@playwright/test';
import type { Api } from './api';

interface Said {
  role: 'user' | 'assistant';
  text: string;
  /** Seconds after the start of the conversation. */
  at?: number;
}

export interface Told {
  agent: string;
  session: string;
  /** ID of the conversation, as the page has it in its address. */
  id: string;
}

interface Options {
  agent?: string;
  session?: string;
  room?: string | null;
  /** Unix seconds of the beginning. */
  start?: number;
}

const now = () => Date.now() / 1000;

/** Delivers a conversation, generation D, and waits until the API has all of it. */
export async function tell(api: Api, said: readonly Said[], options: Options = {}): Promise<Told> {
  const { agent = 'A80HVD8577', session = randomUUID(), room = 'lobby' } = options;
  const start = options.start ?? now() - 10 * said.length - 5;
  if (room !== null) expect(await api.deliver(join(agent, session, room, start))).toBe(200);
  for (const [index, one] of said.entries()) {
    const at = start + (one.at ?? (index + 1) * 5);
    expect(await api.deliver(message(agent, session, one, at))).toBe(200);
  }
  return { agent, session, id: await idOf(api, session, said.length) };
}

/** Waits until a session has so many messages, and returns its ID. */
export async function idOf(api: Api, session: string, messages: number): Promise<string> {
  let id = '';
  await expect
    .poll(async () => {
      const found = await api
        .get<{ id: string; message_count: number }>(`/v1/sessions/${encodeURIComponent(session)}`)
        .catch(() => null);
      id = found?.id ?? '';
      return found?.message_count ?? -1;
    })
    .toBe(messages);
  return id;
}

export function join(agent: string, session: string, room: string, at = now()): unknown {
  return {
    agent_id: agent,
    event_type: 'room.join',
    data: { room_name: room, participant_count: 2, session_id: session },
    timestamp: at,
  };
}

export function message(agent: string, session: string, said: Said, at = now()): unknown {
  return {
    agent_id: agent,
    event_type: 'chat.push',
    data: { role: said.role, message: said.text, session_id: session, timestamp: at },
    timestamp: at,
  };
}

/** Asks and answers in turn, so many messages in all. */
export function turns(count: number, text = (index: number) => `Line ${String(index)}`): Said[] {
  return Array.from({ length: count }, (_, index) => ({
    role: index % 2 === 0 ? ('user' as const) : ('assistant' as const),
    text: text(index),
  }));
}

/** Delivers what cannot be read, so that it is kept in quarantine. */
export async function quarantine(api: Api, count: number, label = 'unreadable'): Promise<void> {
  const AT_ONCE = 20;
  for (let first = 0; first < count; first += AT_ONCE) {
    const size = Math.min(AT_ONCE, count - first);
    const bodies = Array.from(
      { length: size },
      (_, index) => `{"${label}": ${String(first + index)}`,
    );
    const statuses = await Promise.all(bodies.map((body) => api.deliver(body)));
    expect(new Set(statuses)).toEqual(new Set([422]));
  }
}

/** Waits until everything that was delivered can be read, searched and counted. */
export async function settled(api: Api): Promise<void> {
  await expect
    .poll(async () => {
      const { inbox, search, figures } = await api.ready();
      return [inbox.deliveries, search?.lag_entries, figures?.lag_entries];
    })
    .toEqual([0, 0, 0]);
}
