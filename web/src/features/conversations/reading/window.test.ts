import { expect, test } from 'vitest';
import type { Message } from '../../../api/generated';
import { messageAt } from '../../../test/messages';
import {
  appendPage,
  firstPosition,
  openQuery,
  openWindow,
  prependPage,
  receiveMessage,
} from './window';

const message = (second: number, id = `m${second}`) => messageAt(second, { id });
const ids = (window: { messages: readonly Message[] }) => window.messages.map((one) => one.id);

test('from the start, pages follow', () => {
  const anchor = { at: 'start' } as const;
  expect(openQuery(anchor)).toEqual({ order: 'asc' });
  const page = { data: [message(1), message(2)], has_more: true, next_cursor: 'c' };
  const opened = openWindow(anchor, page);
  expect(opened.before).toBeNull();
  expect(opened.after).toEqual({ cursor: 'c', order: 'asc' });
  const grown = appendPage(opened, { data: [message(2), message(3)], has_more: false });
  expect(ids(grown)).toEqual(['m1', 'm2', 'm3']);
  expect(grown.after).toBeNull();
  expect(firstPosition(grown, 3)).toBe(0);
});

test('from the end, pages go before, turned round', () => {
  const anchor = { at: 'end' } as const;
  const page = { data: [message(4), message(3)], has_more: true, next_cursor: 'c' };
  const opened = openWindow(anchor, page);
  expect(ids(opened)).toEqual(['m3', 'm4']);
  expect(opened.after).toBeNull();
  expect(firstPosition(opened, 10)).toBe(8);
  const grown = prependPage(opened, { data: [message(2), message(1)], has_more: false });
  expect(ids(grown)).toEqual(['m1', 'm2', 'm3', 'm4']);
  expect(grown.before).toBeNull();
});

test('a page of equal times is turned round as well', () => {
  const page = { data: [message(1, 'b'), message(1, 'a')], has_more: false };
  expect(ids(openWindow({ at: 'end' }, page))).toEqual(['a', 'b']);
});

test('around a message, pages lead both ways', () => {
  const opened = openWindow(
    { at: 'message', id: 'm5' },
    {
      data: [message(4), message(5)],
      has_more: true,
      next_cursor: 'n',
      has_previous: true,
      previous_cursor: 'p',
    },
  );
  expect(opened.before).toEqual({ cursor: 'p', order: 'desc' });
  expect(opened.after).toEqual({ cursor: 'n', order: 'asc' });
  expect(firstPosition(opened, 10)).toBeNull();
  const page = { data: [message(3), message(2)], has_more: true, next_cursor: 'x' };
  const grown = prependPage(opened, page);
  expect(ids(grown)).toEqual(['m2', 'm3', 'm4', 'm5']);
  expect(grown.before).toEqual({ cursor: 'x', order: 'desc' });
});

test('live messages come at their place, once', () => {
  const opened = openWindow({ at: 'end' }, { data: [message(4), message(2)], has_more: false });
  const added = receiveMessage(receiveMessage(opened, message(5)), message(3));
  expect(ids(added)).toEqual(['m2', 'm3', 'm4', 'm5']);
  expect(added.arrived).toBe(2);
  const again = receiveMessage(added, { ...message(5), altered: true });
  expect(again.messages).toHaveLength(4);
  expect(again.messages[3]?.altered).toBe(true);
});

test('a live message beyond the loaded part waits for its page', () => {
  const opened = openWindow(
    { at: 'start' },
    { data: [message(1)], has_more: true, next_cursor: 'c' },
  );
  const later = receiveMessage(opened, message(9));
  expect(ids(later)).toEqual(['m1']);
  expect(later.arrived).toBe(1);
});
