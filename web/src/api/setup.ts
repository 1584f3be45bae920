import type { Ready } from './generated';
import { requestJson } from './request';

/** How sources are set up, and how the service is. */
export interface Setup {
  as_of: string;
  sources: SetupSource[];
  /** Deliveries to names that no source has. */
  unknown_source?: Refusal | null;
  health: Health;
}

export interface SetupSource {
  name: string;
  path: string;
  url?: string | null;
  /** What each delivery must carry: all of it. */
  credentials: Credential[];
  /** Tests aside. */
  last_delivery_at?: string | null;
  last_test_at?: string | null;
  /** Of the last 24 hours. */
  refusals: Refusal[];
}

/** A header that a delivery must carry; its value never leaves the service. */
export interface Credential {
  kind: 'signature' | 'header';
  header: string;
  /** Values or secrets of which any one is accepted: several while one is rotated. */
  accepted: number;
  /** The signature must cover a time of the last five minutes. */
  needs_timestamp: boolean;
}

/** Deliveries that were not let in, for one reason. */
export interface Refusal {
  reason: string;
  count: number;
  last_at: string;
  advice: string;
}

export interface Health {
  inbox: {
    writable: boolean;
    deliveries: number;
    bytes: number;
    quota_bytes: number;
    oldest_age_seconds?: number | null;
  };
  drain: { reachable: boolean; failing: boolean; last_commit_at?: string | null };
  search?: Ready['search'];
  figures?: Ready['figures'];
  latency: Latency[];
  disk: Disk[];
  versions: { verbatim: string; postgresql?: string | null; schema: string };
  started_at: string;
}

/** Time from a delivery to its answer. */
export interface Latency {
  event: string;
  count: number;
  p50_ms: number;
  p90_ms: number;
  p99_ms: number;
  max_ms: number;
}

export interface Disk {
  holds: string;
  free_bytes: number;
  total_bytes: number;
}

/** What a test delivery was answered, and what became of it. */
export interface TestResult {
  /** null: there was no answer. */
  status?: number | null;
  error?: string | null;
  milliseconds: number;
  answer?: unknown;
  delivery_id?: string | null;
  outcome?: string | null;
  reason?: string | null;
  /** Our ID of the conversation that it is part of. */
  session?: string | null;
  /** It is part of a conversation and of figures. */
  stored_as_real: boolean;
}

export const TEST_EVENTS = ['test', 'room.join', 'chat.push'] as const;
export type TestEvent = (typeof TEST_EVENTS)[number];

export function fetchSetup(signal?: AbortSignal): Promise<Setup> {
  return requestJson<Setup>('/v1/setup', { signal });
}

/** A delivery to send; `real` leaves the mark of a test out, so it is stored as a conversation. */
export interface TestRequest {
  source: string;
  event: TestEvent;
  real: boolean;
}

/** Sends a delivery through the front door, as the sender would. */
export function sendTest(body: TestRequest): Promise<TestResult> {
  return requestJson<TestResult>('/v1/setup/test', { method: 'POST', body });
}
