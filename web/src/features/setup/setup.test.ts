import { describe, expect, test } from 'vitest';
import type { Setup, SetupSource } from '../../api/setup';
import { sourceChecks } from './checks';
import { snippet, SNIPPET_LANGUAGES, type SnippetSource } from './snippets';

const SOURCE: SetupSource = {
  name: 'default',
  path: '/webhook',
  url: 'https://verbatim.example.com/webhook',
  credentials: [
    { kind: 'signature', header: 'x-bithuman-signature', accepted: 1, needs_timestamp: false },
  ],
  last_delivery_at: '2026-11-30T12:00:00Z',
  refusals: [],
};

function setupWith(change: Partial<Setup['health']> = {}): Setup {
  const health = {
    inbox: { writable: true, deliveries: 0, bytes: 0, quota_bytes: 1 },
    drain: { reachable: true, failing: false },
    latency: [],
    disk: [],
    versions: { verbatim: '0.1.0', schema: 'current' },
    started_at: '2026-11-30T10:00:00Z',
    ...change,
  };
  return { as_of: '2026-11-30T12:00:01Z', sources: [], health };
}

const failing = (source: Partial<SetupSource>, setup = setupWith()) =>
  sourceChecks({ ...SOURCE, ...source }, setup)
    .filter((check) => check.status !== 'ok')
    .map((check) => `${check.name} ${check.status} ${check.advice ?? ''}`);

describe('checks', () => {
  test('are fine where deliveries arrive at an address of the internet', () => {
    expect(failing({})).toEqual([]);
  });

  test('name what is missing, and put it first after the last delivery', () => {
    expect(failing({ last_delivery_at: null })).toEqual(['receiving warn noDelivery']);
    const down = setupWith({
      inbox: { writable: false, deliveries: 0, bytes: 0, quota_bytes: 1 },
    });
    const names = sourceChecks(SOURCE, down).map((check) => check.name);
    expect(names.slice(0, 2)).toEqual(['receiving', 'inbox']);
  });

  test('know addresses that the sender cannot use', () => {
    const address = (url: string | null) => failing({ url });
    expect(address('http://127.0.0.1:8080/webhook')).toEqual(['address warn addressLocal']);
    expect(address('http://[::1]:8080/webhook')).toEqual(['address warn addressLocal']);
    expect(address('http://kiosk.example.com/webhook')).toEqual(['address warn addressPlain']);
    expect(address(null)).toEqual(['address warn addressUnknown']);
  });

  test('tell refusals of the past from those that go on', () => {
    const refused = (last_at: string) => [
      { reason: 'wrong_signature', count: 2, last_at, advice: '' },
    ];
    expect(failing({ refusals: refused('2026-11-30T11:00:00Z') })).toEqual([
      'refusals warn refused',
    ]);
    expect(failing({ refusals: refused('2026-11-30T12:00:05Z') })).toEqual([
      'refusals fail refused',
    ]);
  });
});

describe('code to try it', () => {
  const url = 'https://verbatim.example.com/webhook/lobby';
  const all: SnippetSource = { url, signed: true, timestamp: true, headers: ['X-Webhook-Secret'] };

  test.each(SNIPPET_LANGUAGES)('in %s carries what the source requires', (language) => {
    const code = snippet(language, all);
    expect(code).toContain(url);
    expect(code).toContain('YOUR_SECRET');
    expect(code).toMatch(/X-Webhook-Secret\W+YOUR_VALUE/);
    expect(code).toContain('X-bitHuman-Signature');
    expect(code).toContain('X-BitHuman-Timestamp');
    expect(code).toContain('X-Test-Webhook');
  });

  test.each(SNIPPET_LANGUAGES)('in %s signs nothing where headers are enough', (language) => {
    const code = snippet(language, { ...all, signed: false, timestamp: false });
    expect(code).not.toMatch(/hmac|signature|YOUR_SECRET/i);
  });
});
