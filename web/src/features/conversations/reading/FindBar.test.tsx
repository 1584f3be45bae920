import { fireEvent, render, screen } from '@testing-library/react';
import { beforeEach, expect, test, vi } from 'vitest';
import { FindBar } from './FindBar';
import type { ConversationWindow } from './use-window';

const found = vi.hoisted(() => ({ hits: [] as string[], whole: true, current: false }));
const navigate = vi.hoisted(() => vi.fn());
vi.mock('./use-find', () => ({ useFind: () => ({ ...found }) }));
vi.mock('@tanstack/react-router', () => ({
  useNavigate: () => navigate,
  useParams: () => ({ id: 'ses_1' }),
}));

const bar = () => (
  <FindBar
    sessionId="ses_1"
    loaded={{} as ConversationWindow}
    text="tea"
    onText={() => undefined}
    onClose={() => undefined}
  />
);

beforeEach(() => {
  Object.assign(found, { hits: [], current: false });
  navigate.mockClear();
});

test('Enter before the hits are there leads to the first hit once they are', () => {
  const { rerender } = render(bar());
  fireEvent.keyDown(screen.getByRole('textbox'), { key: 'Enter' });
  expect(navigate).not.toHaveBeenCalled();
  Object.assign(found, { hits: ['msg_1', 'msg_2'], current: true });
  rerender(bar());
  expect(navigate).toHaveBeenCalledOnce();
  expect(screen.getByRole('status').textContent).toContain('1 of 2');
});

test('Shift and Enter lead to the last hit first', () => {
  Object.assign(found, { hits: ['msg_1', 'msg_2'], current: true });
  render(bar());
  fireEvent.keyDown(screen.getByRole('textbox'), { key: 'Enter', shiftKey: true });
  expect(screen.getByRole('status').textContent).toContain('2 of 2');
});
