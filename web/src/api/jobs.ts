import { requestJson, type Query } from './request';

/** A job of the service: retries of all deliveries that match. */
export interface Job {
  id: string;
  state: 'waiting' | 'running' | 'finished' | 'cancelled';
  /** Deliveries that the job is about; null before it begins. */
  total?: number | null;
  done: number;
  stored: number;
  still_quarantined: number;
  /** Why the last one stayed in quarantine. */
  last_error?: string | null;
}

/** Is the job still to do something? */
export function isOpen(job: Job | undefined): boolean {
  return job === undefined || job.state === 'waiting' || job.state === 'running';
}

/** Returns the number of quarantined deliveries that match. */
export async function planRetry(filters: Query, signal?: AbortSignal): Promise<number> {
  const query = { ...filters, plan: true };
  const options = { method: 'POST', query, signal } as const;
  const plan = await requestJson<{ matches: number }>('/v1/deliveries/retry', options);
  return plan.matches;
}

/** Begins to retry all quarantined deliveries that match. */
export function startRetry(filters: Query): Promise<Job> {
  return requestJson<Job>('/v1/deliveries/retry', { method: 'POST', query: filters });
}

export function fetchJob(id: string, signal?: AbortSignal): Promise<Job> {
  return requestJson<Job>(`/v1/jobs/${encodeURIComponent(id)}`, { signal });
}

/** Stops a job; what it has done stays done. */
export async function cancelJob(id: string): Promise<void> {
  await requestJson(`/v1/jobs/${encodeURIComponent(id)}`, { method: 'DELETE' });
}
