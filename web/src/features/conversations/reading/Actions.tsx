import { useNavigate } from '@tanstack/react-router';
import type { Session } from '../../../api/generated';
import { urlWith } from '../../../api/request';
import { useSession } from '../../../app/session';
import { copyText } from '../../../components/CopyButton';
import { Icon } from '../../../components/Icon';
import { Menu, type MenuItem } from '../../../components/Popover/Menu';
import { useFormat } from '../../../format/use-format';
import { useTexts } from '../../../texts';
import styles from './Reading.module.css';

const FORMATS = ['txt', 'md', 'json', 'jsonl', 'csv'] as const;
/** Formats whose times are in the zone of the page. */
const ZONED: readonly string[] = ['txt', 'md', 'csv'];

function transcriptUrl(session: Session, format: (typeof FORMATS)[number], zone: string): string {
  const tz = ZONED.includes(format) ? zone : undefined;
  return urlWith(`/v1/sessions/${session.id}/transcript`, { format, tz });
}

/** Menus of a conversation: download in each format; copy, print, deliveries, hold and erase. */
export function Actions({ session }: { session: Session }) {
  const { conversations } = useTexts();
  const texts = conversations.reading;
  const { zone } = useFormat();
  const { can } = useSession();
  const navigate = useNavigate();
  const { id } = session;
  const downloads: MenuItem[] = FORMATS.map((format) => ({
    label: texts.formats[format],
    href: transcriptUrl(session, format, zone),
    download: true,
  }));
  const more: MenuItem[] = [
    {
      label: texts.copyLink,
      onSelect: () => void copyText(window.location.href),
    },
    {
      label: texts.copyAll,
      onSelect: () => void copyTranscript(transcriptUrl(session, 'txt', zone)),
    },
    {
      label: texts.print,
      onSelect: () => void navigate({ to: '/conversations/$id/print', params: { id } }),
    },
  ];
  if (can('admin')) {
    const search = new URLSearchParams({ session_id: session.session_id });
    more.push({ label: texts.deliveries, href: `/deliveries?${search.toString()}` });
  }
  if (can('erase')) {
    const search = new URLSearchParams({ kind: 'session', id });
    more.push({ label: texts.erase, href: `/retention?${search.toString()}` });
  }
  return (
    <>
      <Menu
        label={texts.download}
        className={styles.iconButton}
        trigger={<Icon name="download" size={16} />}
        items={downloads}
      />
      <Menu label={texts.more} className={styles.iconButton} trigger="⋯" items={more} />
    </>
  );
}

async function copyTranscript(url: string): Promise<void> {
  const response = await fetch(url, { credentials: 'same-origin' });
  if (response.ok) await copyText(await response.text());
}
