import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { postKeys, type MadeKey } from '../../api/generated';
import { toApiError } from '../../api/error';
import { Button } from '../../components/Button';
import { CopyButton } from '../../components/CopyButton';
import { Dialog } from '../../components/Dialog';
import { Field, Select } from '../../components/Field';
import { errorTexts } from '../../components/Notice';
import { useFormat } from '../../format/use-format';
import { useTexts } from '../../texts';
import { wallUrl } from '../wall/link';
import layout from '../../components/layout.module.css';
import styles from './overview.module.css';

const DURATIONS = ['1d', '7d', '30d', '90d'] as const;
type Duration = (typeof DURATIONS)[number];
const DEFAULT_DURATION: Duration = '30d';

interface Props {
  open: boolean;
  /** Agents that the screen shows alone. */
  agents: string[] | undefined;
  onClose: () => void;
}

/** Makes a key for a screen, and shows the link that signs in with it, once. */
export function WallLinkDialog({ open, agents, onClose }: Props) {
  const { overview } = useTexts();
  const [made, setMade] = useState<MadeKey | null>(null);
  const close = () => {
    // The key must not stay in the page.
    setMade(null);
    onClose();
  };
  return (
    <Dialog open={open} title={overview.wallLink.title} onClose={close}>
      {made === null ? (
        <WallLinkForm agents={agents} onMade={setMade} />
      ) : (
        <MadeLink made={made} onDone={close} />
      )}
    </Dialog>
  );
}

function WallLinkForm({
  agents,
  onMade,
}: Pick<Props, 'agents'> & { onMade: (made: MadeKey) => void }) {
  const texts = useTexts();
  const { wallLink } = texts.overview;
  const [name, setName] = useState(wallLink.nameValue);
  const [expires, setExpires] = useState<Duration>(DEFAULT_DURATION);
  const create = useMutation({
    mutationFn: async () => {
      const body = { name, scopes: ['analytics' as const], expires, ...(agents && { agents }) };
      return (await postKeys({ body })).data;
    },
    onSuccess: onMade,
  });
  return (
    <form
      className={layout.form}
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate();
      }}
    >
      <p>{wallLink.text}</p>
      {agents !== undefined && <p>{wallLink.agents}</p>}
      <Field
        label={wallLink.name}
        required
        maxLength={200}
        value={name}
        error={create.error === null ? undefined : errorTexts(toApiError(create.error), texts).text}
        onChange={(event) => {
          setName(event.target.value);
        }}
      />
      <Select
        label={wallLink.expires}
        value={expires}
        options={DURATIONS.map((one) => ({ value: one, label: wallLink.durations[one] }))}
        onChange={setExpires}
      />
      <Button kind="primary" type="submit" busy={create.isPending}>
        {wallLink.create}
      </Button>
    </form>
  );
}

function MadeLink({ made, onDone }: { made: MadeKey; onDone: () => void }) {
  const { overview } = useTexts();
  const format = useFormat();
  const link = wallUrl(window.location.origin, { key: made.key, zone: format.zone });
  return (
    <div className={layout.form}>
      <p>{overview.wallLink.made}</p>
      <p className={styles.wallUrl}>
        <code>{link}</code>
      </p>
      {made.expires_at != null && (
        <p className={layout.note}>{overview.wallLink.until(format.dateTime(made.expires_at))}</p>
      )}
      <div className={styles.filters}>
        <CopyButton text={link} />
        <Button onClick={onDone}>{overview.wallLink.done}</Button>
      </div>
    </div>
  );
}
