import { fireEvent, screen } from '@testing-library/react';
import { beforeEach, expect, test, vi } from 'vitest';
import { mockDialogs, mockService, renderPart } from '../../test/providers';
import { EraseDialog } from './EraseDialog';

const TARGET = { kind: 'agent', id: 'A1' } as const;

beforeEach(mockDialogs);

function type(text: string) {
  fireEvent.change(screen.getByLabelText('Type A1 to confirm'), { target: { value: text } });
}

test('nothing is erased before the ID was typed', async () => {
  const receipt = { id: 'r', kind: 'agent', agent_id: 'A1', rows: {} };
  const came = mockService({ 'DELETE /v1/agents/A1': { body: receipt } });
  const erased = vi.fn();
  renderPart(<EraseDialog target={TARGET} onErased={erased} />);
  fireEvent.click(screen.getByText('Erase …'));
  const button = screen.getByRole('button', { name: 'Erase for good' });
  expect(button.hasAttribute('disabled')).toBe(true);
  type('A2');
  expect(button.hasAttribute('disabled')).toBe(true);
  expect(came).toEqual([]);
  type('A1');
  fireEvent.click(button);
  await vi.waitFor(() => {
    expect(erased).toHaveBeenCalledWith(receipt);
  });
  expect(came).toEqual(['DELETE /v1/agents/A1']);
});

test('what is held is not erased, and the answer says why', async () => {
  const body = { code: 'conflict', detail: 'It is held.', request_id: 'q1' };
  mockService({ 'DELETE /v1/agents/A1': { status: 409, body } });
  const erased = vi.fn();
  renderPart(<EraseDialog target={TARGET} onErased={erased} />);
  fireEvent.click(screen.getByText('Erase …'));
  type('A1');
  fireEvent.click(screen.getByRole('button', { name: 'Erase for good' }));
  const alert = await screen.findByRole('alert');
  expect(alert.textContent).toContain('It is held.');
  expect(alert.textContent).toContain('q1');
  expect(erased).not.toHaveBeenCalled();
});
