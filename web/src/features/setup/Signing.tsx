import { useState } from 'react';
import type { SetupSource } from '../../api/setup';
import { CopyButton } from '../../components/CopyButton';
import { Facts } from '../../components/Facts';
import { Tabs } from '../../components/Tabs';
import { useTexts } from '../../texts';
import { headerName } from './Connect';
import layout from '../../components/layout.module.css';
import styles from './setup.module.css';
import {
  snippet,
  SNIPPET_LANGUAGES,
  SNIPPET_NAMES,
  type SnippetLanguage,
  type SnippetSource,
} from './snippets';

/** How to sign a delivery, and programs that do it. */
export function Signing({ source }: { source: SetupSource }) {
  const { setup } = useTexts();
  const signature = source.credentials.find(({ kind }) => kind === 'signature');
  const timestamp = signature?.needs_timestamp ?? false;
  const headers = source.credentials.filter(({ kind }) => kind === 'header').map(headerName);
  const url = source.url ?? `${window.location.origin}${source.path}`;
  return (
    <section className={layout.section}>
      <h2>{setup.sign}</h2>
      <p className={layout.muted}>{setup.signHelp}</p>
      {signature === undefined ? (
        <p>{setup.noSignature}</p>
      ) : (
        <>
          <Facts
            facts={[
              {
                name: setup.formula,
                value: <code>{timestamp ? setup.formulaTimestamp : setup.formulaBody}</code>,
              },
              {
                name: setup.headers,
                value: (
                  <>
                    <code>X-bitHuman-Signature: sha256=…</code>
                    {headers.map((name) => (
                      <div key={name}>
                        <code>{name}</code>
                      </div>
                    ))}
                  </>
                ),
              },
            ]}
          />
          <p className={layout.muted}>{setup.formulaHelp}</p>
        </>
      )}
      <Code source={{ url, signed: signature !== undefined, timestamp, headers }} />
    </section>
  );
}

function Code({ source }: { source: SnippetSource }) {
  const { setup } = useTexts();
  const [language, setLanguage] = useState<SnippetLanguage>('curl');
  const code = snippet(language, source);
  return (
    <div className={styles.code}>
      <Tabs
        label={setup.language}
        value={language}
        tabs={SNIPPET_LANGUAGES.map((value) => ({ value, label: SNIPPET_NAMES[value] }))}
        onChange={setLanguage}
      >
        <div className={styles.codeHead}>
          <p className={layout.muted}>{setup.codeHelp}</p>
          <CopyButton text={code} label={setup.copyCode} />
        </div>
        {/* What scrolls has to be reachable by keyboard. */}
        {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
        <pre tabIndex={0} aria-label={SNIPPET_NAMES[language]} role="region">
          <code>{code}</code>
        </pre>
      </Tabs>
    </div>
  );
}
