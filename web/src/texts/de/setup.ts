import type { Texts } from '../en';

export const setup: Texts['setup'] = {
  title: 'Einrichtung',
  loading: 'Lädt die Einrichtung …',
  sources: 'Quelle',
  state: 'Funktioniert es?',
  lastDelivery: (age) => `Letzte echte Zustellung ${age}`,
  noDeliveryHelp:
    'Tragen Sie die URL unten bei bitHuman ein und drücken Sie dort „Test“, oder senden Sie von dieser Seite eine Testzustellung.',
  lastTest: (age) => `Letzter Test ${age}`,
  noTest: 'Noch kein Test',
  checks: {
    receiving: 'Zustellungen kommen an',
    address: 'Der Absender erreicht die Adresse',
    credentials: 'Jede Zustellung muss nachweisen, woher sie kommt',
    refusals: 'Keine Zustellung wird abgewiesen',
    names: 'Die URL beim Absender nennt eine Quelle',
    inbox: 'Zustellungen können aufbewahrt werden',
    database: 'Zustellungen erreichen die Datenbank',
  },
  problems: {
    receiving: 'Noch keine echte Zustellung',
    address: 'Der Absender kann diese Adresse nicht benutzen',
    credentials: 'Jeder könnte Zustellungen senden',
    refusals: 'Zustellungen werden abgewiesen',
    names: 'Zustellungen gehen an einen Namen, den keine Quelle hat',
    inbox: 'Zustellungen können nicht aufbewahrt werden',
    database: 'Zustellungen erreichen die Datenbank nicht',
  },
  status: { ok: 'funktioniert', warn: 'bitte ansehen', fail: 'funktioniert nicht' },
  advice: {
    addressLocal:
      'Diese Seite wurde unter einer Adresse geöffnet, die nur dieser Rechner hat. bitHuman braucht eine HTTPS-Adresse, die das Internet erreicht: Stellen Sie einen Proxy wie Caddy oder nginx davor, oder geben Sie dem Dienst ein Zertifikat. Öffnen Sie diese Seite dann unter jener Adresse.',
    addressPlain:
      'Diese Adresse hat kein HTTPS, und bitHuman besteht darauf. Stellen Sie einen Proxy wie Caddy oder nginx davor, oder geben Sie dem Dienst ein Zertifikat.',
    addressUnknown:
      'Die Anfrage nach dieser Seite nannte keinen Host. Die URL ist Ihre öffentliche Adresse, gefolgt vom Pfad unten.',
    refused: (count, age) =>
      `${count} in den letzten 24 Stunden abgewiesen, die letzte ${age}. Die Gründe stehen darunter.`,
    unknownName: (count, age) =>
      `${count === '1' ? '1 Zustellung ging' : `${count} Zustellungen gingen`} an einen Namen, den keine Quelle hat, die letzte ${age}. Vergleichen Sie die URL beim Absender mit den Pfaden hier.`,
    inbox:
      'In den Eingang kann nichts geschrieben werden. Prüfen Sie den Platz auf der Platte und die Rechte am Datenordner; der Fehler steht im Log.',
    database:
      'Die Datenbank nimmt gerade keine Zustellungen an. Sie warten im Eingang, und nichts geht verloren. Siehe Zustand.',
    credentials:
      'Die Quelle verlangt weder Signatur noch Kopfzeile. Setzen Sie ein Geheimnis oder eine Kopfzeile.',
  },
  connect: 'bitHuman anschließen',
  steps: {
    open: 'Öffnen Sie in der Oberfläche von bitHuman Developer → Webhooks, und schalten Sie Webhooks ein.',
    paste: 'Fügen Sie diese URL als Endpunkt ein:',
    events: 'Wählen Sie beide Ereignisse: room.join und chat.push.',
    signature:
      'Tragen Sie dort dasselbe Geheimnis ein wie hier. bitHuman signiert damit jede Zustellung und sendet die Signatur in der Kopfzeile:',
    header:
      'Fügen Sie dort diese Kopfzeile hinzu, mit dem Wert aus den Einstellungen dieses Dienstes:',
    test: 'Drücken Sie dort „Test“, oder senden Sie von dieser Seite eine Testzustellung.',
  },
  rotating: (count) => `(${count} Geheimnisse oder Werte gelten, solange eines gewechselt wird)`,
  pathOnly: 'Ihre öffentliche Adresse, gefolgt von',
  secretHelp:
    'Das Geheimnis steht in den Einstellungen des Dienstes: VERBATIM_WEBHOOK_SECRET, die TOML-Datei, oder die Datei webhook-secret im Datenordner. Diese Seite zeigt es nie.',
  attempts:
    'Die neuesten Zustellungen von bitHuman werden einmal gesendet: Was nicht mit 200 beantwortet wird, ist verloren. Der Dienst antwortet mit 200, sobald eine Zustellung sicher auf der Platte ist, auch wenn die Datenbank fehlt.',
  tryIt: 'Testzustellung senden',
  tryHelp:
    'Der Dienst sendet sie sich selbst durch die Vordertür, mit den Nachweisen der Quelle. Sie ist als Test gekennzeichnet: Sie ist in keinem Gespräch und keiner Zahl.',
  event: 'Ereignis',
  events: {
    test: 'Test, wie ihn die Oberfläche sendet',
    'room.join': 'Ein Besucher kommt (room.join)',
    'chat.push': 'Eine Nachricht (chat.push)',
  },
  real: 'Ohne Kennzeichen eines Tests: gespeichert als Gespräch des Agenten test_agent_123',
  send: 'Test senden',
  sending: 'Sendet …',
  answered: (status, time) => `Mit ${status} beantwortet nach ${time}`,
  notAnswered: (time) => `Keine Antwort innerhalb von ${time}`,
  became: (outcome) => `Ergebnis: ${outcome}`,
  waiting: 'Sie ist sicher im Eingang und erscheint bald bei den Zustellungen.',
  openDelivery: 'Zustellung öffnen',
  openConversation: 'Gespräch öffnen',
  refusals: 'In den letzten 24 Stunden abgewiesen',
  noRefusals: 'Keine.',
  refusal: { reason: 'Grund', count: 'Anzahl', last: 'Zuletzt', advice: 'Was zu tun ist' },
  reasons: {
    missing_signature: 'Keine Signatur',
    signature_prefix: 'Signatur ohne „sha256=“',
    signature_form: 'Fehlerhafte Signatur',
    wrong_signature: 'Falsche Signatur',
    missing_header: 'Eine verlangte Kopfzeile fehlt',
    wrong_header: 'Eine verlangte Kopfzeile hat einen anderen Wert',
    missing_timestamp: 'Keine signierte Zeit',
    stale_timestamp: 'Die signierte Zeit ist zu alt',
    payload_too_large: 'Inhalt zu groß',
    request_timeout: 'Der Inhalt kam zu langsam',
    unreadable_delivery: 'Nicht lesbar; in Quarantäne aufbewahrt',
    not_durable: 'Nicht zu speichern',
    unavailable: 'Der Dienst war überlastet oder wurde beendet',
    invalid_parameter: 'Fehlerhafte Anfrage',
    unknown_source: 'Unbekannte Quelle in der URL',
  },
  reasonAdvice: {
    missing_signature:
      'Tragen Sie das Geheimnis beim Absender ein. Wenn er nicht signiert, entfernen Sie das Geheimnis hier und verlangen Sie eine Kopfzeile.',
    signature_prefix: 'Senden Sie „sha256=“ und 64 Hexziffern in X-bitHuman-Signature.',
    signature_form: 'Senden Sie „sha256=“ und 64 Hexziffern in X-bitHuman-Signature.',
    wrong_signature:
      'Tragen Sie an beiden Stellen dasselbe Geheimnis ein. Ist es dasselbe, ändert etwas unterwegs den Inhalt: Signieren Sie die rohen Bytes, und lassen Sie einen Proxy sie unverändert weitergeben.',
    missing_header:
      'Fügen Sie die Kopfzeile beim Absender hinzu. Ein Proxy kann sie entfernt haben.',
    wrong_header: 'Tragen Sie an beiden Stellen denselben Wert ein.',
    missing_timestamp:
      'Signieren Sie „{timestamp}.{body}“ und senden Sie X-BitHuman-Timestamp, oder schalten Sie strict_timestamps aus.',
    stale_timestamp: 'Gleichen Sie die Uhren beider Rechner ab.',
    payload_too_large: 'Erhöhen Sie VERBATIM_MAX_BODY, und die Grenze eines Proxys davor.',
    request_timeout: 'Prüfen Sie das Netz zwischen Absender und Dienst.',
    unreadable_delivery:
      'Sehen Sie die Zustellungen in Quarantäne an, und versuchen Sie es nach einem Update noch einmal.',
    not_durable:
      'Prüfen Sie den Platz auf der Platte und die Datenbank; beide Fehler stehen im Log.',
    unavailable: 'Der Absender darf es noch einmal versuchen. Wenn es oft vorkommt, siehe Zustand.',
    invalid_parameter: 'Sehen Sie in das Log eines Proxys davor.',
    unknown_source: 'Vergleichen Sie die URL beim Absender mit den Pfaden auf dieser Seite.',
  },
  quarantined: 'Bei den Zustellungen ansehen',
  sign: 'Eine Zustellung selbst signieren',
  signHelp: 'Für einen eigenen Absender, oder um den Weg von einem anderen Rechner zu versuchen.',
  formula: 'Formel',
  formulaBody: 'HMAC-SHA256(Geheimnis, roher Inhalt)',
  formulaTimestamp: 'HMAC-SHA256(Geheimnis, "{timestamp}.{roher Inhalt}")',
  formulaHelp:
    'Über die genauen Bytes des Inhalts, hexadezimal in Kleinbuchstaben, nach „sha256=“. Wo X-BitHuman-Timestamp gesendet wird, deckt die Signatur sie mit ab.',
  headers: 'Kopfzeilen',
  headerValue: (name) => `${name}: der Wert aus den Einstellungen`,
  noSignature: 'Diese Quelle verlangt keine Signatur: Ihre Kopfzeilen genügen.',
  language: 'Sprache',
  copyCode: 'Code kopieren',
  codeHelp: 'Ersetzen Sie YOUR_SECRET und YOUR_VALUE, bevor Sie ihn ausführen.',
};
