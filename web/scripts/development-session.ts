import type { Plugin } from 'vite';

/**
 * Answers `GET /v1/browser-session` in the development server where a key is set: the proxy adds that
 * key to each request, so there is nobody to sign in.
 */
export function developmentSession(key: string | undefined): Plugin {
  return {
    name: 'development-session',
    apply: 'serve',
    configureServer(server) {
      if (key === undefined) return;
      const scopes = (process.env['VERBATIM_SCOPES'] ?? 'admin').split(',');
      server.middlewares.use('/v1/browser-session', (request, response, next) => {
        if (request.method !== 'GET') {
          next();
          return;
        }
        response.setHeader('content-type', 'application/json');
        response.end(
          JSON.stringify({
            key_id: null,
            key_name: 'development',
            scopes,
            agents: null,
            expires_at: null,
          }),
        );
      });
    },
  };
}
