import { act, renderHook, waitFor } from '@testing-library/react';
import { beforeEach, expect, test, vi } from 'vitest';
import { ApiError } from '../../../api/error';
import type { Query } from '../../../api/request';
import { messageAt } from '../../../test/messages';
import { TestProviders } from '../../../test/providers';
import * as api from '../api';
import { useWindow } from './use-window';

const fetchMessages = vi.spyOn(api, 'fetchMessages');
const open = (anchor: Parameters<typeof useWindow>[1]) =>
  renderHook(() => useWindow('c', anchor), { wrapper: TestProviders }).result;
const ids = (result: ReturnType<typeof open>) =>
  result.current.window?.messages.map((message) => message.id);

beforeEach(() => {
  fetchMessages.mockReset();
});

test('a live message that comes while the first page is read is not lost', async () => {
  let answer = (page: api.MessagePage) => {
    void page;
  };
  fetchMessages.mockReturnValue(new Promise((resolve) => (answer = resolve)));
  const result = open({ at: 'end' });
  act(() => {
    result.current.receive(messageAt(9));
  });
  await act(async () => {
    answer({ data: [messageAt(8)], has_more: false });
    await Promise.resolve();
  });
  await waitFor(() => {
    expect(ids(result)).toEqual(['m8', 'm9']);
  });
});

test('a live message that comes while the last page is read is not lost', async () => {
  fetchMessages.mockResolvedValueOnce({
    data: [messageAt(1)],
    has_more: true,
    next_cursor: 'c',
  });
  const result = open({ at: 'start' });
  await waitFor(() => {
    expect(ids(result)).toEqual(['m1']);
  });
  fetchMessages.mockImplementationOnce(() => {
    result.current.receive(messageAt(3));
    return Promise.resolve({ data: [messageAt(2)], has_more: false });
  });
  await act(() => result.current.load('after'));
  expect(ids(result)).toEqual(['m1', 'm2', 'm3']);
  expect(fetchMessages.mock.calls[1]?.[1]).toEqual({ cursor: 'c', order: 'asc' });
});

test('a permalink to a message that is gone opens the conversation and says so', async () => {
  fetchMessages.mockImplementation((_id: string, query: Query) =>
    query['around'] === undefined
      ? Promise.resolve({ data: [messageAt(1)], has_more: false })
      : Promise.reject(new ApiError(404, 'not_found', 'There is no such message.')),
  );
  const result = open({ at: 'message', id: 'gone' });
  await waitFor(() => {
    expect(ids(result)).toEqual(['m1']);
  });
  expect(result.current.missing).toBe(true);
});
