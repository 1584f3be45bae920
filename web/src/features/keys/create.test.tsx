import { fireEvent, screen } from '@testing-library/react';
import { beforeEach, expect, test } from 'vitest';
import { mockDialogs, mockService, renderPart } from '../../test/providers';
import { CreateKey } from './CreateKey';

beforeEach(mockDialogs);

test('a key is shown once, and gone with the dialog', async () => {
  mockService({ 'POST /v1/keys': { status: 201, body: { id: 'k', key: 'vb_secret' } } });
  renderPart(<CreateKey />);
  fireEvent.click(screen.getByText('Create key', { selector: 'button span' }));
  fireEvent.change(screen.getByLabelText('Name'), { target: { value: 'Lobby' } });
  const submit = screen.getAllByText('Create key', { selector: 'button span' }).at(-1);
  if (submit !== undefined) fireEvent.click(submit);
  await screen.findByText('vb_secret');
  fireEvent.click(screen.getByText('I have copied it'));
  expect(screen.queryByText('vb_secret')).toBeNull();
  fireEvent.click(screen.getByText('Create key', { selector: 'button span' }));
  expect(screen.queryByText('vb_secret')).toBeNull();
});

test('a form without a name is not sent', () => {
  const came = mockService({});
  renderPart(<CreateKey />);
  fireEvent.click(screen.getByText('Create key', { selector: 'button span' }));
  const submit = screen.getAllByText('Create key', { selector: 'button span' }).at(-1);
  if (submit !== undefined) fireEvent.click(submit);
  expect(screen.getByRole('alert').textContent).toBe('Enter a name.');
  expect(came).toEqual([]);
});
