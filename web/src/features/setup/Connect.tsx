import type { Credential, SetupSource } from '../../api/setup';
import { CopyButton } from '../../components/CopyButton';
import { useTexts } from '../../texts';
import layout from '../../components/layout.module.css';
import styles from './setup.module.css';

/** Steps to connect bitHuman with a source. */
export function Connect({ source }: { source: SetupSource }) {
  const { setup } = useTexts();
  return (
    <section className={layout.section}>
      <h2>{setup.connect}</h2>
      <ol className={styles.steps}>
        <li>{setup.steps.open}</li>
        <li>
          {setup.steps.paste}
          {source.url ? (
            <Value text={source.url} />
          ) : (
            <>
              {' '}
              {setup.pathOnly} <Value text={source.path} />
            </>
          )}
        </li>
        <li>{setup.steps.events}</li>
        {source.credentials.map((credential) => (
          <CredentialStep key={credential.header} credential={credential} />
        ))}
        <li>{setup.steps.test}</li>
      </ol>
      <p className={layout.muted}>{setup.secretHelp}</p>
      <p className={layout.muted}>{setup.attempts}</p>
    </section>
  );
}

function CredentialStep({ credential }: { credential: Credential }) {
  const { setup } = useTexts();
  const signature = credential.kind === 'signature';
  return (
    <li>
      {signature ? setup.steps.signature : setup.steps.header}{' '}
      {credential.accepted > 1 && setup.rotating(credential.accepted)}
      <Value text={headerName(credential)} />
    </li>
  );
}

/** Returns a header's name as the sender's documents write it. */
export function headerName({ kind, header }: Credential): string {
  if (kind === 'signature') return 'X-bitHuman-Signature';
  return header.replaceAll(/(^|-)([a-z])/g, (part) => part.toUpperCase());
}

function Value({ text }: { text: string }) {
  return (
    <span className={styles.value}>
      <code>{text}</code>
      <CopyButton text={text} iconOnly />
    </span>
  );
}
