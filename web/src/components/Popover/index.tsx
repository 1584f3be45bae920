import { Suspense, useEffect, useId, useRef, useState, type ReactNode } from 'react';
import { placePopover } from './place';
import styles from './Popover.module.css';

interface Props {
  /** What the trigger is called, where its content does not say it. */
  label?: string;
  trigger: ReactNode;
  className?: string;
  /** Made when it opens; a function gets how to close. */
  children: ReactNode | ((close: () => void) => ReactNode);
  role?: 'menu' | 'dialog';
}

/** A button and the panel that it opens, on the native popover: closes by Escape and outside presses. */
export function Popover({ label, trigger, className, children, role = 'dialog' }: Props) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState(false);

  useEffect(() => {
    const element = panel.current;
    if (element === null) return;
    const onToggle = (event: ToggleEvent) => {
      setOpen(event.newState === 'open');
    };
    element.addEventListener('toggle', onToggle);
    return () => {
      element.removeEventListener('toggle', onToggle);
    };
  }, []);

  const onShown = () => {
    if (button.current === null || panel.current === null) return;
    placePopover(panel.current, button.current);
    panel.current.querySelector<HTMLElement>('input, select, button, a[href]')?.focus();
  };
  const close = () => {
    document.getElementById(id)?.hidePopover();
    document.querySelector<HTMLElement>(`[popovertarget="${id}"]`)?.focus();
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        className={className}
        popoverTarget={id}
        aria-haspopup={role}
        aria-expanded={open}
        aria-label={label}
        title={label}
      >
        {trigger}
      </button>
      <div
        ref={panel}
        id={id}
        popover="auto"
        role={role}
        aria-label={label}
        className={styles.popover}
      >
        {open && (
          <Suspense fallback={null}>
            {typeof children === 'function' ? children(close) : children}
            <Shown run={onShown} />
          </Suspense>
        )}
      </div>
    </>
  );
}

/** Calls `run` once what stands before it is drawn, which may have to be loaded. */
function Shown({ run }: { run: () => void }) {
  const first = useRef(run);
  useEffect(() => {
    first.current();
  }, []);
  return null;
}
