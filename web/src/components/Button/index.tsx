import type { ButtonHTMLAttributes } from 'react';
import { Icon, type IconName } from '../Icon';
import styles from './Button.module.css';

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: 'primary' | 'plain' | 'quiet' | 'danger';
  icon?: IconName;
  /** Shows the icon alone; `children` stay as the name. */
  iconOnly?: boolean;
  busy?: boolean;
}

/** A button; while `busy` it cannot be pressed again. */
export function Button({
  kind = 'plain',
  icon,
  iconOnly = false,
  busy = false,
  children,
  className,
  disabled,
  ...rest
}: Props) {
  const classes = [styles.button, styles[kind], iconOnly && styles.iconOnly, className];
  return (
    <button
      type="button"
      {...rest}
      className={classes.filter(Boolean).join(' ')}
      disabled={disabled === true || busy}
      aria-busy={busy}
      title={iconOnly && typeof children === 'string' ? children : rest.title}
    >
      {icon !== undefined && <Icon name={icon} size={16} />}
      <span className={iconOnly ? 'visually-hidden' : undefined}>{children}</span>
    </button>
  );
}
