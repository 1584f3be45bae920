export const SNIPPET_LANGUAGES = ['curl', 'python', 'node', 'go', 'ruby', 'php'] as const;
export type SnippetLanguage = (typeof SNIPPET_LANGUAGES)[number];

export const SNIPPET_NAMES: Record<SnippetLanguage, string> = {
  curl: 'curl',
  python: 'Python',
  node: 'Node.js',
  go: 'Go',
  ruby: 'Ruby',
  php: 'PHP',
};

/** What a delivery to a source has to carry; values stay placeholders. */
export interface SnippetSource {
  url: string;
  signed: boolean;
  /** The signature covers a time, too. */
  timestamp: boolean;
  /** Names of the headers that must match. */
  headers: readonly string[];
}

export const SECRET_PLACEHOLDER = 'YOUR_SECRET';
export const VALUE_PLACEHOLDER = 'YOUR_VALUE';

const WRITERS: Record<SnippetLanguage, (source: SnippetSource) => string[]> = {
  curl,
  python,
  node,
  go,
  ruby,
  php,
};

/** Returns a program that sends a signed test delivery; the secret is a placeholder in it. */
export function snippet(language: SnippetLanguage, source: SnippetSource): string {
  return WRITERS[language](source).join('\n');
}

/** Returns `lines` where the condition holds. */
function when(condition: boolean, ...lines: string[]): string[] {
  return condition ? lines : [];
}

/** Headers whose values are the same in every language. */
function fixedHeaders({ headers }: SnippetSource): [name: string, value: string][] {
  return [
    ['Content-Type', 'application/json'],
    ['X-Test-Webhook', 'true'],
    ...headers.map((name): [string, string] => [name, VALUE_PLACEHOLDER]),
  ];
}

function curl(source: SnippetSource): string[] {
  const { url, signed, timestamp } = source;
  const content = timestamp ? '"$time.$body"' : '"$body"';
  return [
    'time=$(date +%s)',
    `body='{"event_type":"test","agent_id":"test_agent_123","data":{},"timestamp":'$time'}'`,
    ...when(
      signed,
      `secret='${SECRET_PLACEHOLDER}'`,
      `signature=$(printf %s ${content} | openssl dgst -sha256 -hmac "$secret" -r | cut -d ' ' -f 1)`,
    ),
    `curl -sS -i '${url}' \\`,
    ...fixedHeaders(source).map(([name, value]) => `  -H '${name}: ${value}' \\`),
    ...when(timestamp, '  -H "X-BitHuman-Timestamp: $time" \\'),
    ...when(signed, '  -H "X-bitHuman-Signature: sha256=$signature" \\'),
    '  --data-binary "$body"',
  ];
}

function python(source: SnippetSource): string[] {
  const { url, signed, timestamp } = source;
  const content = timestamp ? 'f"{now}.".encode() + body' : 'body';
  return [
    `import ${signed ? 'hashlib, hmac, ' : ''}json, time, urllib.request`,
    '',
    'now = int(time.time())',
    'event = {"event_type": "test", "agent_id": "test_agent_123", "data": {}, "timestamp": now}',
    'body = json.dumps(event).encode()',
    'headers = {',
    ...fixedHeaders(source).map(([name, value]) => `    "${name}": "${value}",`),
    '}',
    ...when(timestamp, 'headers["X-BitHuman-Timestamp"] = str(now)'),
    ...when(
      signed,
      `signature = hmac.new(b"${SECRET_PLACEHOLDER}", ${content}, hashlib.sha256).hexdigest()`,
      'headers["X-bitHuman-Signature"] = f"sha256={signature}"',
    ),
    `request = urllib.request.Request("${url}", body, headers)`,
    'with urllib.request.urlopen(request) as response:',
    '    print(response.status, response.read().decode())',
  ];
}

function node(source: SnippetSource): string[] {
  const { url, signed, timestamp } = source;
  const content = timestamp ? '`${now}.${body}`' : 'body';
  return [
    ...when(signed, "import { createHmac } from 'node:crypto';", ''),
    'const now = Math.floor(Date.now() / 1000);',
    'const body = JSON.stringify({',
    "  event_type: 'test', agent_id: 'test_agent_123', data: {}, timestamp: now,",
    '});',
    'const headers = {',
    ...fixedHeaders(source).map(([name, value]) => `  '${name}': '${value}',`),
    '};',
    ...when(timestamp, "headers['X-BitHuman-Timestamp'] = String(now);"),
    ...when(
      signed,
      `const hmac = createHmac('sha256', '${SECRET_PLACEHOLDER}').update(${content});`,
      "headers['X-bitHuman-Signature'] = `sha256=${hmac.digest('hex')}`;",
    ),
    `const response = await fetch('${url}', { method: 'POST', headers, body });`,
    'console.log(response.status, await response.text());',
  ];
}

function go(source: SnippetSource): string[] {
  const { url, signed, timestamp } = source;
  const packages = [
    ...when(signed, 'crypto/hmac', 'crypto/sha256', 'encoding/hex'),
    'fmt',
    'io',
    'net/http',
    'strings',
    'time',
  ];
  const content = timestamp ? 'fmt.Sprintf("%d.%s", now, body)' : 'body';
  return [
    'package main',
    '',
    'import (',
    ...packages.map((name) => `\t"${name}"`),
    ')',
    '',
    'func main() {',
    '\tnow := time.Now().Unix()',
    '\tbody := fmt.Sprintf(`{"event_type":"test","agent_id":"test_agent_123","data":{},"timestamp":%d}`, now)',
    `\trequest, err := http.NewRequest("POST", "${url}", strings.NewReader(body))`,
    '\tif err != nil {',
    '\t\tpanic(err)',
    '\t}',
    ...fixedHeaders(source).map(([name, value]) => `\trequest.Header.Set("${name}", "${value}")`),
    ...when(timestamp, '\trequest.Header.Set("X-BitHuman-Timestamp", fmt.Sprint(now))'),
    ...when(
      signed,
      `\tmac := hmac.New(sha256.New, []byte("${SECRET_PLACEHOLDER}"))`,
      `\tmac.Write([]byte(${content}))`,
      '\trequest.Header.Set("X-bitHuman-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))',
    ),
    '\tresponse, err := http.DefaultClient.Do(request)',
    '\tif err != nil {',
    '\t\tpanic(err)',
    '\t}',
    '\tdefer response.Body.Close()',
    '\tanswer, _ := io.ReadAll(response.Body)',
    '\tfmt.Println(response.StatusCode, string(answer))',
    '}',
  ];
}

function ruby(source: SnippetSource): string[] {
  const { url, signed, timestamp } = source;
  const content = timestamp ? '"#{now}.#{body}"' : 'body';
  return [
    "require 'json'",
    "require 'net/http'",
    ...when(signed, "require 'openssl'"),
    '',
    'now = Time.now.to_i',
    "body = { event_type: 'test', agent_id: 'test_agent_123', data: {}, timestamp: now }.to_json",
    'headers = {',
    ...fixedHeaders(source).map(([name, value]) => `  '${name}' => '${value}',`),
    '}',
    ...when(timestamp, "headers['X-BitHuman-Timestamp'] = now.to_s"),
    ...when(
      signed,
      `signature = OpenSSL::HMAC.hexdigest('SHA256', '${SECRET_PLACEHOLDER}', ${content})`,
      `headers['X-bitHuman-Signature'] = "sha256=#{signature}"`,
    ),
    `response = Net::HTTP.post(URI('${url}'), body, headers)`,
    'puts response.code, response.body',
  ];
}

function php(source: SnippetSource): string[] {
  const { url, signed, timestamp } = source;
  const content = timestamp ? '"$now.$body"' : '$body';
  return [
    '<?php',
    '$now = time();',
    '$body = json_encode([',
    "    'event_type' => 'test', 'agent_id' => 'test_agent_123',",
    "    'data' => new stdClass(), 'timestamp' => $now,",
    ']);',
    '$headers = [',
    ...fixedHeaders(source).map(([name, value]) => `    '${name}: ${value}',`),
    '];',
    ...when(timestamp, '$headers[] = "X-BitHuman-Timestamp: $now";'),
    ...when(
      signed,
      `$signature = hash_hmac('sha256', ${content}, '${SECRET_PLACEHOLDER}');`,
      '$headers[] = "X-bitHuman-Signature: sha256=$signature";',
    ),
    `$request = curl_init('${url}');`,
    'curl_setopt_array($request, [',
    '    CURLOPT_POSTFIELDS => $body,',
    '    CURLOPT_HTTPHEADER => $headers,',
    '    CURLOPT_RETURNTRANSFER => true,',
    ']);',
    '$answer = curl_exec($request);',
    'echo curl_getinfo($request, CURLINFO_RESPONSE_CODE), " $answer\\n";',
  ];
}
