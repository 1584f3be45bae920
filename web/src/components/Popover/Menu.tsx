import type { KeyboardEvent, ReactNode } from 'react';
import { Popover } from '.';
import styles from './Menu.module.css';

export interface MenuItem {
  label: string;
  /** A link, or something to do. */
  href?: string;
  download?: boolean;
  onSelect?: () => void;
}

interface Props {
  label: string;
  trigger: ReactNode;
  className?: string;
  items: MenuItem[];
}

/** A menu of actions or links; arrow keys go through it. */
export function Menu({ label, trigger, className, items }: Props) {
  return (
    <Popover role="menu" label={label} trigger={trigger} {...(className && { className })}>
      {(close) => (
        <ul className={styles.menu} role="none">
          {items.map((item) => (
            <li key={item.label} role="none">
              <Item item={item} close={close} />
            </li>
          ))}
        </ul>
      )}
    </Popover>
  );
}

function Item({ item, close }: { item: MenuItem; close: () => void }) {
  const common = { role: 'menuitem', className: styles.item, onKeyDown: moveFocus };
  if (item.href !== undefined) {
    return (
      <a {...common} href={item.href} download={item.download} onClick={close}>
        {item.label}
      </a>
    );
  }
  return (
    <button
      {...common}
      type="button"
      onClick={() => {
        close();
        item.onSelect?.();
      }}
    >
      {item.label}
    </button>
  );
}

function moveFocus(event: KeyboardEvent<HTMLElement>): void {
  const items = [
    ...(event.currentTarget.closest('ul')?.querySelectorAll<HTMLElement>('[role=menuitem]') ?? []),
  ];
  const index = items.indexOf(event.currentTarget);
  const next = nextIndex(event.key, index, items.length);
  if (next === null) return;
  event.preventDefault();
  items[next]?.focus();
}

/** Returns the index that an arrow key leads to, or null for any other key. */
export function nextIndex(key: string, index: number, length: number): number | null {
  switch (key) {
    case 'ArrowDown':
    case 'ArrowRight':
      return (index + 1) % length;
    case 'ArrowUp':
    case 'ArrowLeft':
      return (index - 1 + length) % length;
    case 'Home':
      return 0;
    case 'End':
      return length - 1;
    default:
      return null;
  }
}
