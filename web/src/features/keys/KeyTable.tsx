import type { Key } from '../../api/generated';
import { Badge, type Tone } from '../../components/Badge';
import { Table, type Column } from '../../components/Table';
import { Time } from '../../components/Time';
import { useFormat } from '../../format/use-format';
import { useNow } from '../../format/use-now';
import { useTexts } from '../../texts';
import layout from '../../components/layout.module.css';
import styles from './keys.module.css';
import { RevokeKey } from './RevokeKey';
import { keyState, type KeyState } from './state';

const TONES: Record<KeyState, Tone> = { active: 'success', expired: 'neutral', revoked: 'danger' };
const MINUTE_MS = 60_000;

/** Keys, one a row; those that are over have no button. */
export function KeyTable({ rows }: { rows: readonly Key[] }) {
  const { keys } = useTexts();
  const now = useNow(MINUTE_MS);
  const names = new Map(rows.map(({ id, name }) => [id, name]));
  const columns: Column<Key>[] = [
    {
      key: 'name',
      header: keys.name,
      cell: (key) => <Name value={key} maker={key.made_by && names.get(key.made_by)} />,
    },
    { key: 'scopes', header: keys.scopes, cell: (key) => <Scopes scopes={key.scopes} /> },
    { key: 'agents', header: keys.agents, cell: (key) => <Agents agents={key.agents} /> },
    { key: 'state', header: keys.state, cell: (key) => <State value={key} now={now} /> },
    {
      key: 'used',
      header: keys.lastUsed,
      cell: ({ last_used_at }) =>
        last_used_at ? <Time value={last_used_at} shape="relative" /> : keys.neverUsed,
    },
    {
      key: 'created',
      header: keys.created,
      cell: ({ created_at }) => <Time value={created_at} />,
    },
    {
      key: 'revoke',
      header: keys.revoke,
      headerHidden: true,
      cell: (key) => keyState(key, now) === 'active' && <RevokeKey value={key} />,
    },
  ];
  return (
    <Table caption={keys.title} columns={columns} rows={rows} rowKey={({ id }) => id} stacked />
  );
}

function Name({ value, maker }: { value: Key; maker: string | null | undefined }) {
  const { keys } = useTexts();
  return (
    <>
      <strong dir="auto">{value.name}</strong>
      {maker && <div className={layout.note}>{keys.madeBy(maker)}</div>}
    </>
  );
}

function Scopes({ scopes }: { scopes: readonly string[] }) {
  const { keys } = useTexts();
  const help: Record<string, string> = keys.scopeHelp;
  return (
    <span className={styles.badges}>
      {scopes.map((scope) => (
        <span key={scope} title={help[scope]}>
          <Badge tone={scope === 'admin' ? 'warning' : 'neutral'}>{scope}</Badge>
        </span>
      ))}
    </span>
  );
}

function Agents({ agents }: { agents: Key['agents'] }) {
  const { keys } = useTexts();
  if (agents === null || agents === undefined) return keys.allAgents;
  return <bdi className={styles.agents}>{agents.join(', ')}</bdi>;
}

function State({ value, now }: { value: Key; now: number }) {
  const { keys } = useTexts();
  const format = useFormat();
  const state = keyState(value, now);
  return (
    <>
      <Badge tone={TONES[state]}>{keys.states[state]}</Badge>
      <div className={layout.note}>
        {state === 'revoked' && value.revoked_at && <Time value={value.revoked_at} />}
        {state === 'expired' && value.expires_at && <Time value={value.expires_at} />}
        {state === 'active' && value.expires_at && (
          <span title={format.exactTime(value.expires_at)}>
            {keys.expiresIn(format.relativeTime(value.expires_at, now))}
          </span>
        )}
      </div>
    </>
  );
}
