import type { Ready } from '../../api/generated';
import type { Health } from '../../api/setup';
import type { Tone } from '../../components/Badge';
import { StatusList } from '../../components/StatusList';
import { useFormat, type Format } from '../../format/use-format';
import { useNow } from '../../format/use-now';
import { useTexts, type Texts } from '../../texts';
import { healthItems, type HealthItem, type HealthStatus } from './items';

const TONES: Record<HealthStatus, Tone> = {
  ok: 'success',
  warn: 'warning',
  fail: 'danger',
  unknown: 'neutral',
};

/** The service, its inbox, its database and what hangs on them, one line each. */
export function State({ ready, health }: { ready: Ready; health: Health | undefined }) {
  const texts = useTexts().health;
  const format = useFormat();
  const now = useNow(1_000);
  const items = healthItems(ready, health).map((item) => ({
    key: item.name,
    tone: TONES[item.status],
    status: texts.status[item.status],
    ...describe(item, texts, format, now),
  }));
  return <StatusList items={items} />;
}

type Words = { text: string; help?: string };

function describe(item: HealthItem, texts: Texts['health'], format: Format, now: number): Words {
  switch (item.name) {
    case 'service':
      return { text: texts[item.readiness], help: texts.serviceHelp[item.readiness] };
    case 'inbox':
      return describeInbox(item, texts, format);
    case 'database':
      return describeDatabase(item, texts, format, now);
    case 'search':
      return item.rebuilt === null
        ? describeLag(item.lagSeconds, texts.search, texts.searchLag, texts, format)
        : { text: texts.searchRebuild(format.percent(item.rebuilt, 0)), help: texts.lagHelp };
    case 'figures':
      return describeLag(item.lagSeconds, texts.figures, texts.figuresLag, texts, format);
    case 'standby':
      return describeStandby(item, texts, format);
    case 'disk':
      return {
        text: texts.disk(format.bytes(item.freeBytes), format.bytes(item.totalBytes)),
        ...(item.status !== 'ok' && { help: texts.diskHelp }),
      };
  }
}

type Named<Name> = Extract<HealthItem, { name: Name }>;

function describeInbox(item: Named<'inbox'>, texts: Texts['health'], format: Format): Words {
  if (!item.writable) return { text: texts.inboxNotWritable, help: texts.inboxNotWritableHelp };
  if (item.deliveries === 0) return { text: texts.inboxEmpty };
  const room =
    item.quotaBytes === null
      ? []
      : [texts.inboxRoom(format.bytes(item.bytes), format.bytes(item.quotaBytes))];
  const late = item.status === 'ok' ? [] : [texts.inboxOldHelp];
  return {
    text: texts.inboxWaiting(format.count(item.deliveries), format.duration(item.ageSeconds)),
    help: [...room, ...late].join(' '),
  };
}

function describeDatabase(
  item: Named<'database'>,
  texts: Texts['health'],
  format: Format,
  now: number,
): Words {
  if (!item.reachable) {
    const seconds = item.since === null ? 0 : (now - Date.parse(item.since)) / 1000;
    return {
      text: texts.databaseAway(format.duration(seconds)),
      help: texts.databaseAwayHelp,
    };
  }
  if (item.status !== 'ok') {
    const current = item.schema === 'current';
    return {
      text: texts.databaseReadOnly,
      help: current ? texts.databaseReadOnlyHelp : texts.schema(item.schema),
    };
  }
  return {
    text: texts.database,
    ...(item.lastCommitAt !== null && {
      help: texts.lastCommit(format.relativeTime(item.lastCommitAt, now)),
    }),
  };
}

function describeStandby(item: Named<'standby'>, texts: Texts['health'], format: Format): Words {
  if (!item.used) return { text: texts.standbyNotUsed(item.state), help: texts.standbyNotUsedHelp };
  const seconds = item.lagSeconds ?? 0;
  if (seconds < 1) return { text: texts.standby };
  return { text: texts.standbyLag(format.duration(seconds)), help: texts.lagHelp };
}

function describeLag(
  seconds: number,
  fine: string,
  behind: (age: string) => string,
  texts: Texts['health'],
  format: Format,
): Words {
  if (seconds < 1) return { text: fine };
  return { text: behind(format.duration(seconds)), help: texts.lagHelp };
}
