import type { Message, Visit } from '../api/generated';

/** Returns a message that was said at a second of a minute. */
export function messageAt(second: number, more: Partial<Message> = {}): Message {
  const timestamp = `2026-11-30T12:00:${String(second).padStart(2, '0')}.000000Z`;
  return {
    id: `m${second}`,
    session_id: 's',
    agent_id: 'a',
    role: 'user',
    message: `Message ${second}`,
    timestamp,
    received_at: timestamp,
    ...more,
  };
}

/** Returns a message whose ID is its text, said at an instant. */
export function messageOf(id: string, timestamp: string, role = 'user'): Message {
  return messageAt(0, { id, message: id, timestamp, received_at: timestamp, role });
}

/** Returns a visit that began at an instant. */
export function visitAt(visit: number, started_at: string): Visit {
  return {
    visit,
    opened_by: visit === 1 ? 'room.join' : 'chat.push',
    started_at,
    last_activity_at: started_at,
    duration_seconds: 0,
    message_count: 1,
    user_message_count: 1,
    assistant_message_count: 0,
  };
}
