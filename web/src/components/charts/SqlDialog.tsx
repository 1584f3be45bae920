import { CopyButton } from '../CopyButton';
import { Dialog } from '../Dialog';
import { useTexts } from '../../texts';
import layout from '../layout.module.css';
import styles from './SqlDialog.module.css';

interface Props {
  title: string;
  sql: string | null;
  onClose: () => void;
}

/** The query that gives the figures of a chart. */
export function SqlDialog({ title, sql, onClose }: Props) {
  const { overview } = useTexts();
  return (
    <Dialog open={sql !== null} title={overview.sqlTitle(title)} onClose={onClose} wide>
      <Sql sql={sql ?? ''} />
    </Dialog>
  );
}

/** A query and a button that copies it. */
export function Sql({ sql }: { sql: string }) {
  const { overview } = useTexts();
  return (
    <div className={styles.sql}>
      <p className={layout.note}>{overview.figure.sqlHelp}</p>
      {/* A region that scrolls has to be reachable by keyboard. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre tabIndex={0} role="region" aria-label={overview.figure.sql} translate="no">
        <code>{sql}</code>
      </pre>
      <CopyButton text={sql} />
    </div>
  );
}
