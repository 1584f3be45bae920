import type { Problem } from './generated';

/** Code of an error that did not come from the service: it was not reached, or sent no problem. */
type LocalCode = 'network' | 'unknown';

/** A failed request: what the service said, or that it was not reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: Problem['code'] | LocalCode,
    readonly detail: string,
    readonly requestId: string | null = null,
    readonly problem: Partial<Problem> = {},
  ) {
    super(detail);
    this.name = 'ApiError';
  }

  /** May the same request succeed later? */
  get transient(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** Returns the error of an answer that is not a success. */
export async function errorFromResponse(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null);
  return errorFromBody(response, body);
}

/** Returns the error of an answer whose body has been parsed. */
export function errorFromBody(response: Response, body: unknown): ApiError {
  const requestId = response.headers.get('x-request-id');
  if (typeof body !== 'object' || body === null) {
    return new ApiError(response.status, 'unknown', `HTTP status ${response.status}`, requestId);
  }
  const problem = body as Partial<Problem>;
  return new ApiError(
    response.status,
    problem.code ?? 'unknown',
    problem.detail ?? problem.title ?? `HTTP status ${response.status}`,
    problem.request_id ?? requestId,
    problem,
  );
}

/** Returns what was thrown as an `ApiError`; one that is none already is a network failure. */
export function toApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return new ApiError(0, 'network', detail);
}
