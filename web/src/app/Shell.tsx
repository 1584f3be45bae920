import { Outlet, useLocation } from '@tanstack/react-router';
import { Suspense, useEffect, useRef } from 'react';
import { ErrorNotice } from '../components/Notice';
import { useLiveConnection } from '../live/use-live';
import { useTexts } from '../texts';
import { CommandPalette } from './CommandPalette';
import { OutageBanner } from './OutageBanner';
import { Rail } from './Rail';
import { Redirect } from './Redirect';
import { useSession } from './session';
import styles from './Shell.module.css';
import { ShortcutsDialog } from './ShortcutsDialog';
import { useShortcuts } from './use-shortcuts';

/** The frame of every signed-in view: rail, skip link, dialogs that any view may open. */
export function Shell() {
  const { session, loading, error, refresh, can } = useSession();
  const { common, shell } = useTexts();
  const { pathname, searchStr } = useLocation();
  useShortcuts();
  useFocusOnPlace(pathname);
  useLiveConnection(can('read'));

  if (loading) return <p className="visually-hidden">{common.loading}</p>;
  if (session === null && error !== null) {
    return (
      <main>
        <ErrorNotice error={error} onRetry={() => void refresh()} level={1} />
      </main>
    );
  }
  if (session === null) {
    const next = `${pathname}${searchStr}`;
    return <Redirect to="/sign-in" search={next === '/' ? {} : { next }} />;
  }
  return (
    <div className={styles.shell}>
      <a href="#main" className={styles.skip}>
        {shell.skip}
      </a>
      <Rail />
      <main id="main" tabIndex={-1} className={styles.main}>
        <OutageBanner />
        <div className={styles.content}>
          <Suspense fallback={<p className="visually-hidden">{common.loading}</p>}>
            <Outlet />
          </Suspense>
        </div>
      </main>
      <CommandPalette />
      <ShortcutsDialog />
    </div>
  );
}

/** Moves the focus to the content when another place is opened, so that it is read from there. */
function useFocusOnPlace(pathname: string): void {
  const place = pathname.split('/')[1] ?? '';
  const before = useRef(place);
  useEffect(() => {
    if (before.current === place) return;
    const started = before.current === '';
    before.current = place;
    if (!started) document.getElementById('main')?.focus();
  }, [place]);
}
