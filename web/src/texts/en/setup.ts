export const setup = {
  title: 'Set-up',
  loading: 'Loading the set-up …',
  sources: 'Source',
  state: 'Does it work?',
  lastDelivery: (age: string) => `Last real delivery ${age}`,
  noDeliveryHelp:
    'Enter the URL below at bitHuman and press Test there, or send a test delivery from this page.',
  lastTest: (age: string) => `Last test ${age}`,
  noTest: 'No test yet',
  checks: {
    receiving: 'Deliveries arrive',
    address: 'The address is reachable for the sender',
    credentials: 'Every delivery must prove where it comes from',
    refusals: 'No delivery is refused',
    names: 'The URL at the sender names a source',
    inbox: 'Deliveries can be kept',
    database: 'Deliveries reach the database',
  },
  problems: {
    receiving: 'No real delivery yet',
    address: 'The sender cannot use this address',
    credentials: 'Anybody could send deliveries',
    refusals: 'Deliveries are refused',
    names: 'Deliveries go to a name that no source has',
    inbox: 'Deliveries cannot be kept',
    database: 'Deliveries do not reach the database',
  },
  status: { ok: 'works', warn: 'look at this', fail: 'does not work' },
  advice: {
    addressLocal:
      'This page was opened at an address of this machine only. bitHuman needs an HTTPS address that the internet reaches: put a proxy such as Caddy or nginx in front, or give the service a certificate. Then open this page at that address.',
    addressPlain:
      'This address has no HTTPS, which bitHuman insists on. Put a proxy such as Caddy or nginx in front, or give the service a certificate.',
    addressUnknown:
      'The request for this page named no host. The URL is your public address, followed by the path below.',
    refused: (count: string, age: string) =>
      `${count} refused in the last 24 hours, the last one ${age}. The table on this page says why.`,
    unknownName: (count: string, age: string) =>
      `${count} deliveries went to a name that no source has, the last one ${age}. Compare the URL at the sender with the paths here.`,
    inbox:
      'Nothing can be written to the inbox. Check the room on the disk and the rights on the data folder; the log has the error.',
    database:
      'The database does not take deliveries now. They wait in the inbox, and nothing is lost. See Health.',
    credentials:
      'The source requires neither a signature nor a header. Set a secret or a header for it.',
  },
  connect: 'Connect bitHuman',
  steps: {
    open: 'In the dashboard of bitHuman, open Developer → Webhooks and switch webhooks on.',
    paste: 'Paste this URL as the endpoint:',
    events: 'Choose both events: room.join and chat.push.',
    signature:
      'Enter the same secret there as here. bitHuman signs each delivery with it and sends the signature in the header:',
    header: 'Add this header there, with the value that the settings of this service have:',
    test: 'Press Test there, or send a test delivery from this page.',
  },
  rotating: (count: number) => `(${count} secrets or values are accepted while one is changed)`,
  pathOnly: 'your public address, followed by',
  secretHelp:
    'The secret is in the settings of the service: VERBATIM_WEBHOOK_SECRET, the TOML file, or the file webhook-secret in the data folder. This page never shows it.',
  attempts:
    'The newest deliveries of bitHuman are sent once: what is not answered with 200 is gone. The service answers 200 as soon as a delivery is safe on disk, even while the database is away.',
  tryIt: 'Send a test delivery',
  tryHelp:
    'The service sends it to itself through the front door, with the credentials of the source. It is marked as a test: it is in no conversation and no figure.',
  event: 'Event',
  events: {
    test: 'Test, as the dashboard sends it',
    'room.join': 'A visitor joins (room.join)',
    'chat.push': 'A message (chat.push)',
  },
  send: 'Send test',
  sending: 'Sending …',
  answered: (status: number, time: string) => `Answered ${status} in ${time}`,
  notAnswered: (time: string) => `No answer within ${time}`,
  became: (outcome: string) => `Outcome: ${outcome}`,
  waiting: 'It is safe in the inbox and will appear in the deliveries soon.',
  openDelivery: 'Open the delivery',
  refusals: 'Refused in the last 24 hours',
  noRefusals: 'None.',
  refusal: { reason: 'Reason', count: 'Count', last: 'Last', advice: 'What to do' },
  reasons: {
    missing_signature: 'No signature',
    signature_prefix: 'Signature without “sha256=”',
    signature_form: 'Malformed signature',
    wrong_signature: 'Wrong signature',
    missing_header: 'A required header is missing',
    wrong_header: 'A required header has another value',
    missing_timestamp: 'No signed time',
    stale_timestamp: 'The signed time is too old',
    payload_too_large: 'Body too large',
    request_timeout: 'The body came too slowly',
    unreadable_delivery: 'Not readable; kept in quarantine',
    not_durable: 'It could not be stored',
    unavailable: 'The service was overloaded or stopping',
    invalid_parameter: 'Malformed request',
    unknown_source: 'Unknown source in the URL',
  },
  reasonAdvice: {
    missing_signature:
      'Enter the secret at the sender. If it does not sign, remove the secret here and require a header instead.',
    signature_prefix: 'Send “sha256=” and 64 hex digits in X-bitHuman-Signature.',
    signature_form: 'Send “sha256=” and 64 hex digits in X-bitHuman-Signature.',
    wrong_signature:
      'Enter the same secret in both places. If it is the same, something on the way changes the body: sign the raw bytes and let a proxy pass them on unchanged.',
    missing_header: 'Add the header at the sender. A proxy may have removed it.',
    wrong_header: 'Enter the same value in both places.',
    missing_timestamp:
      'Sign “{timestamp}.{body}” and send X-BitHuman-Timestamp, or switch strict_timestamps off.',
    stale_timestamp: 'Synchronize the clocks of both machines.',
    payload_too_large: 'Raise VERBATIM_MAX_BODY, and the limit of a proxy in front.',
    request_timeout: 'Check the network between the sender and the service.',
    unreadable_delivery: 'See the quarantined deliveries, and retry them after an upgrade.',
    not_durable: 'Check the room on the disk and the database; the log has both errors.',
    unavailable: 'The sender may try again. If it happens often, see Health.',
    invalid_parameter: 'Check the log of a proxy in front.',
    unknown_source: 'Compare the URL at the sender with the paths on this page.',
  },
  quarantined: 'See them in the deliveries',
  sign: 'Sign a delivery yourself',
  signHelp: 'For a sender of your own, or to try the way from another machine.',
  formula: 'Formula',
  formulaBody: 'HMAC-SHA256(secret, raw body)',
  formulaTimestamp: 'HMAC-SHA256(secret, "{timestamp}.{raw body}")',
  formulaHelp:
    'Over the exact bytes of the body, in lower-case hexadecimal, after “sha256=”. Where X-BitHuman-Timestamp is sent, the signature covers it, too.',
  headers: 'Headers',
  headerValue: (name: string) => `${name}: the value in the settings`,
  noSignature: 'This source requires no signature: its headers are enough.',
  language: 'Language',
  copyCode: 'Copy code',
  codeHelp: 'Replace YOUR_SECRET and YOUR_VALUE before you run it.',
};
