import { deliveries } from './de/deliveries';
import { setup } from './de/setup';
import type { Texts } from './en';

/** Every text of the page in German. */
export const de: Texts = {
  common: {
    product: 'Verbatim',
    loading: 'Lädt …',
    retry: 'Noch einmal versuchen',
    close: 'Schließen',
    cancel: 'Abbrechen',
    copy: 'Kopieren',
    copied: 'Kopiert',
    more: 'Mehr',
    search: 'Suchen',
    clear: 'Leeren',
    apply: 'Anwenden',
    save: 'Speichern',
    remove: 'Entfernen',
    yes: 'Ja',
    no: 'Nein',
    none: 'keine',
    requestId: (id) => `Anfrage-ID ${id}`,
    asOf: (age) => `Stand ${age}`,
  },
  shell: {
    skip: 'Zum Inhalt springen',
    places: 'Bereiche',
    conversations: 'Gespräche',
    overview: 'Überblick',
    deliveries: 'Zustellungen',
    setup: 'Einrichtung',
    health: 'Zustand',
    keys: 'Schlüssel',
    retention: 'Behalten und löschen',
    settings: 'Einstellungen',
    zone: 'Zeitzone',
    zoneShort: (zone) => `Zeiten in ${zone}`,
    theme: 'Farben',
    themeSystem: 'Wie das System',
    themeLight: 'Hell',
    themeDark: 'Dunkel',
    language: 'Sprache',
    signOut: 'Abmelden',
    apiReference: 'API-Referenz',
    commands: 'Befehle',
    shortcuts: 'Tastenkürzel',
  },
  states: {
    notFound: 'Nicht gefunden',
    notFoundHelp: 'Diese Seite gibt es nicht, oder Ihr Schlüssel darf sie nicht sehen.',
    noRights: 'Ihr Schlüssel erlaubt das nicht',
    noRightsHelp: (scope) =>
      `Diese Ansicht braucht das Recht „${scope}“. Melden Sie sich mit einem anderen Schlüssel an, oder fragen Sie, wer Ihren ausgestellt hat.`,
    error: 'Das konnte nicht geladen werden',
    offline: 'Der Dienst antwortet nicht',
    offlineHelp:
      'Prüfen Sie das Netz und ob der Dienst läuft. Die Seite versucht es von selbst wieder.',
    databaseAway: 'Die Datenbank antwortet nicht',
    databaseAwayHelp:
      'Zustellungen werden weiter angenommen und aufbewahrt; sie erscheinen hier, sobald die Datenbank wieder da ist. Die Seite versucht es von selbst wieder.',
    stale: (age) => `Nicht aktuell: Stand ${age}`,
    rateLimited: 'Zu viele Anfragen. Warten Sie kurz, und versuchen Sie es dann noch einmal.',
  },
  commands: {
    title: 'Befehle',
    placeholder: 'Zu einer Seite gehen oder einen Befehl ausführen',
    empty: 'Kein Befehl passt',
    goTo: (place) => `Gehe zu ${place}`,
  },
  shortcuts: {
    title: 'Tastenkürzel',
    next: 'Nächstes Gespräch',
    previous: 'Voriges Gespräch',
    search: 'Suchen',
    commands: 'Befehle',
    help: 'Diese Liste',
    goTo: (place) => `Gehe zu ${place}`,
    find: 'Im Gespräch suchen',
    escape: 'Schließen, oder zurück zur Liste',
    then: 'dann',
  },
  signin: {
    title: 'Anmelden',
    key: 'API-Schlüssel',
    keyHelp:
      'Der Schlüssel wird gegen eine Sitzung in diesem Browser getauscht und nicht gespeichert.',
    submit: 'Anmelden',
    busy: 'Meldet an …',
    withLink: 'Meldet mit dem Link an …',
    wrongKey:
      'Dieser Schlüssel gilt nicht. Prüfen Sie, ob Sie ihn ganz kopiert haben und ob er widerrufen wurde.',
    wrongToken:
      'Dieser Link wurde schon benutzt oder ist abgelaufen. „verbatim open“ macht einen neuen.',
    noKeyYet: 'Noch kein Schlüssel?',
    noKeyYetHelp:
      'Auf dem Rechner, auf dem der Dienst läuft, gibt dieser Befehl einen Link aus, der Sie anmeldet:',
    ended: 'Ihre Sitzung ist zu Ende. Melden Sie sich wieder an, um fortzufahren.',
  },
  conversations: {
    title: 'Gespräche',
  },
  overview: {
    title: 'Überblick',
  },
  deliveries,
  setup,
  health: {
    title: 'Zustand',
  },
  keys: {
    title: 'Schlüssel',
  },
  retention: {
    title: 'Behalten und löschen',
  },
  gallery: {
    title: 'Bausteine',
  },
  wall: {
    title: 'Wandanzeige',
  },
  dateRange: {
    label: 'Zeit',
    any: 'Jederzeit',
    from: 'Von',
    to: 'Bis (einschließlich)',
    custom: 'Eigener Zeitraum',
    today: 'Heute',
    yesterday: 'Gestern',
    last_24h: 'Letzte 24 Stunden',
    last_7d: 'Letzte 7 Tage',
    last_30d: 'Letzte 30 Tage',
    last_90d: 'Letzte 90 Tage',
    this_week: 'Diese Woche',
    last_week: 'Letzte Woche',
    this_month: 'Dieser Monat',
    last_month: 'Letzter Monat',
    this_year: 'Dieses Jahr',
  },
};
