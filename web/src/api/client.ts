import { client } from './generated/client.gen';
import { errorFromBody, toApiError } from './error';
import { reportUnauthorized } from './unauthorized';

// Sets the generated client up: same origin, cookie session, errors as `ApiError`. Features that use
// it import this, and the first view does not.
client.setConfig({
  baseUrl: window.location.origin,
  credentials: 'same-origin',
  throwOnError: true,
});
client.interceptors.error.use((error, response) => {
  if (error instanceof DOMException && error.name === 'AbortError') return error;
  // The types say that there is always a response; there is none where the service was not reached.
  const answered = response as Response | undefined;
  if (answered === undefined) return toApiError(error);
  if (answered.status === 401) reportUnauthorized();
  return errorFromBody(answered, parsed(error));
});

function parsed(error: unknown): unknown {
  if (typeof error !== 'string') return error;
  try {
    return JSON.parse(error);
  } catch {
    return null;
  }
}
