import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { signIn } from '../../api/browser-session';
import { toApiError } from '../../api/error';
import { Redirect } from '../../app/Redirect';
import { useSession } from '../../app/session';
import { useTitle } from '../../app/use-title';
import { Button } from '../../components/Button';
import { CopyButton } from '../../components/CopyButton';
import { Field } from '../../components/Field';
import { errorTexts } from '../../components/Notice';
import { useTexts } from '../../texts';
import { localPath, tokenFromHash } from './link';
import styles from './signin.module.css';

/** Signs in with a key, or with the token of a one-time link (`#token=…`). */
export default function SignInView() {
  const { session } = useSession();
  const search: Record<string, unknown> = useSearch({ strict: false });
  const next = localPath(search['next']);
  // The token must not stay in the address or the history.
  const [token] = useState(() => tokenFromHash(window.location.hash));
  if (session !== null && token === null) return <Redirect to={next} />;
  return <SignIn next={next} token={token} ended={search['next'] !== undefined} />;
}

function SignIn({ next, token, ended }: { next: string; token: string | null; ended: boolean }) {
  const { common, signin } = useTexts();
  useTitle(signin.title);
  const submit = useSignIn(next, token);
  const [key, setKey] = useState('');
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    void submit.run({ key: key.trim() });
  };
  return (
    <main className={styles.page}>
      <form onSubmit={onSubmit} className={styles.form}>
        <p className={styles.brand}>{common.product}</p>
        <h1>{signin.title}</h1>
        {ended && token === null && <p role="status">{signin.ended}</p>}
        {submit.busy && token !== null && <p role="status">{signin.withLink}</p>}
        <Field
          label={signin.key}
          type="password"
          autoComplete="off"
          spellCheck={false}
          required
          value={key}
          help={signin.keyHelp}
          error={submit.error ?? undefined}
          onChange={(event) => {
            setKey(event.target.value);
          }}
        />
        <Button kind="primary" type="submit" busy={submit.busy}>
          {submit.busy ? signin.busy : signin.submit}
        </Button>
        <section className={styles.help}>
          <h2>{signin.noKeyYet}</h2>
          <p>{signin.noKeyYetHelp}</p>
          <p className={styles.command}>
            <code>verbatim open</code>
            <CopyButton text="verbatim open" iconOnly />
          </p>
        </section>
      </form>
    </main>
  );
}

function useSignIn(next: string, token: string | null) {
  const texts = useTexts();
  const { refresh } = useSession();
  const navigate = useNavigate();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);

  const run = async (credentials: { key: string } | { token: string }) => {
    setBusy(true);
    setError(null);
    try {
      await signIn(credentials);
      await refresh();
      await navigate({ to: next, replace: true });
    } catch (thrown) {
      const known = toApiError(thrown);
      const wrong = 'token' in credentials ? texts.signin.wrongToken : texts.signin.wrongKey;
      setError(known.status === 401 ? wrong : errorTexts(known, texts).text);
    } finally {
      setBusy(false);
    }
  };

  // A link works once: it must not be sent again when effects run twice.
  const sent = useRef(false);
  useEffect(() => {
    if (token === null || sent.current) return;
    sent.current = true;
    window.history.replaceState(window.history.state, '', '/sign-in');
    void run({ token });
  });
  return { run, busy, error };
}
