import { fireEvent, screen } from '@testing-library/react';
import { beforeEach, expect, test, vi } from 'vitest';
import { mockDialogs, mockService, renderPart } from '../../test/providers';
import { JobProgress } from './JobProgress';
import { RetryMany } from './RetryMany';

const JOB = { id: 'j', state: 'running', total: 8, done: 2, stored: 1, still_quarantined: 1 };
const FILTERS = { outcome: ['quarantined' as const], source: 'lobby' };
const RETRY = '/v1/deliveries/retry?outcome=quarantined&source=lobby';

beforeEach(mockDialogs);

test('a retry of all is counted, then started', async () => {
  const came = mockService({
    [`POST ${RETRY}&plan=true`]: { body: { matches: 8 } },
    [`POST ${RETRY}`]: { status: 202, body: JOB },
  });
  const started = vi.fn();
  renderPart(<RetryMany filters={FILTERS} onStarted={started} />);
  fireEvent.click(screen.getByText('Retry all that match'));
  fireEvent.click(await screen.findByText('Retry 8'));
  await vi.waitFor(() => {
    expect(started).toHaveBeenCalledWith('j');
  });
  expect(came).toEqual([`POST ${RETRY}&plan=true`, `POST ${RETRY}`]);
});

test('nothing can be started where nothing matches', async () => {
  mockService({ [`POST ${RETRY}&plan=true`]: { body: { matches: 0 } } });
  renderPart(<RetryMany filters={FILTERS} onStarted={vi.fn()} />);
  fireEvent.click(screen.getByText('Retry all that match'));
  await screen.findByText(/There is nothing to retry/);
  expect(screen.queryByText(/^Retry \d/)).toBeNull();
});

test('a job shows its progress and can be cancelled', async () => {
  let state = 'running';
  const came = mockService({
    'GET /v1/jobs/j': () => ({ body: { ...JOB, state } }),
    'DELETE /v1/jobs/j': () => {
      state = 'cancelled';
      return { body: { ...JOB, state } };
    },
  });
  renderPart(<JobProgress id="j" onClose={vi.fn()} />);
  await screen.findByText('Retrying: 2 of 8');
  fireEvent.click(screen.getByText('Cancel the retry'));
  await screen.findByText(/Retry cancelled after 2/);
  expect(came).toContain('DELETE /v1/jobs/j');
});

test('a job that is no longer known is told, and can be closed', async () => {
  mockService({});
  const close = vi.fn();
  renderPart(<JobProgress id="j" onClose={close} />);
  await screen.findByText(/no longer known/);
  fireEvent.click(screen.getByText('Close'));
  expect(close).toHaveBeenCalled();
});
