import { expect, test } from 'vitest';
import type { Message } from '../../api/generated';
import { closestMessage, messageIn } from './message';

test('the message is found in each of the formats', () => {
  expect(messageIn('{"data":{"message":"Hi","timestamp":1764547200.5}}')).toEqual({
    text: 'Hi',
    at: 1764547200500,
  });
  expect(messageIn('{"data":{"message":"Hi"},"timestamp":"1764547200"}')?.at).toBe(1764547200000);
  expect(messageIn('{"message":{"content":"Hi","timestamp":"2025-12-01T00:00:00Z"}}')).toEqual({
    text: 'Hi',
    at: 1764547200000,
  });
  expect(messageIn('{"data":{"message":"Hi","timestamp":"soon"}}')).toEqual({
    text: 'Hi',
    at: null,
  });
});

test('an event without a message has none', () => {
  expect(messageIn('{"event_type":"room.join","data":{}}')).toBeNull();
  expect(messageIn('{"cut')).toBeNull();
  expect(messageIn(null)).toBeNull();
});

test('text that cannot be stored is compared as it is shown', () => {
  expect(messageIn('{"data":{"message":"a\\u0000b\\ud800c👋"}}')?.text).toBe('a\uFFFDb\uFFFDc👋');
});

test('of two equal messages the one that arrived with the delivery is chosen', () => {
  const message = (id: string, received_at: string) =>
    ({ id, message: 'Yes', received_at }) as Message;
  const messages = [
    message('first', '2026-11-30T12:00:00.000000Z'),
    message('second', '2026-11-30T12:00:09.000000Z'),
  ];
  expect(closestMessage(messages, 'Yes', '2026-11-30T12:00:09.100000Z')).toBe('second');
  expect(closestMessage(messages, 'No', '2026-11-30T12:00:09.100000Z')).toBeNull();
});
