import type { ServerResponse } from 'node:http';
import type { Plugin } from 'vite';

/** Marker cookie of a signed-in browser. Without it the page does not request the session. */
const MARK = 'verbatim_signed_in=1; Path=/; SameSite=Strict';

/**
 * Signs every browser in to the development server if a key is set. The proxy adds the key to each
 * request, so there is no session in the service.
 */
export function developmentSession(key: string | undefined): Plugin {
  return {
    name: 'development-session',
    apply: 'serve',
    configureServer(server) {
      if (key === undefined) return;
      server.middlewares.use((request, response, next) => {
        const isPage = request.headers.accept?.includes('text/html') === true;
        if (isPage) response.setHeader('set-cookie', MARK);
        next();
      });
      server.middlewares.use('/v1/browser-session', (request, response, next) => {
        if (request.method === 'GET') answerSession(response);
        else next();
      });
    },
  };
}

function answerSession(response: ServerResponse): void {
  const scopes = (process.env['VERBATIM_SCOPES'] ?? 'admin').split(',');
  const session = { key_id: null, key_name: 'development', scopes, agents: null, expires_at: null };
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(session));
}
