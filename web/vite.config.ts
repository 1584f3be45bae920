import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vitest/config';
import { compileHints } from './scripts/compile-hints.ts';
import { precompress } from './scripts/precompress.ts';
import { developmentSession } from './scripts/development-session.ts';

// The service that the development server forwards to, and the key it signs in with. Both stay in
// this process: nothing of them is in the bundle.
const service = process.env['VERBATIM_URL'] ?? 'http://127.0.0.1:8080';
const key = process.env['VERBATIM_API_KEY'];
const headers = key === undefined ? undefined : { authorization: `Bearer ${key}` };

export default defineConfig({
  plugins: [
    react(),
    developmentSession(key) as Plugin,
    compileHints() as Plugin,
    precompress() as Plugin,
  ],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    manifest: true,
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            // On a slow network few files arrive sooner than many small ones.
            { name: 'vendor', test: /node_modules\/(react|react-dom|scheduler|@tanstack)\// },
            // Without `api/generated`, which the first view does not need.
            {
              name: 'common',
              test: /src\/(api\/(browser-session|early|error|keys|outage|query-client|request|unauthorized)\.|format\/|live\/)/,
            },
          ],
        },
      },
    },
  },
  server: {
    proxy: Object.fromEntries(
      ['/v1', '/healthz', '/readyz', '/openapi.json', '/docs', '/webhook'].map((path) => [
        path,
        { target: service, ...(headers === undefined ? {} : { headers }) },
      ]),
    ),
  },
  test: {
    environment: 'jsdom',
    include: ['src/**/*.test.{ts,tsx}'],
    setupFiles: ['src/test-setup.ts'],
  },
});
