import { useEffect, useState } from 'react';
import { useTexts } from '../../texts';
import { Button } from '../Button';
import type { IconName } from '../Icon';

const SHOWN_MS = 2_000;

interface Props {
  /** The text, or how to get it. */
  text: string | (() => string);
  label?: string;
  iconOnly?: boolean;
  icon?: IconName;
}

/** Copies a text and says so. */
export function CopyButton({ text, label, iconOnly = false, icon = 'copy' }: Props) {
  const { common } = useTexts();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => {
      setCopied(false);
    }, SHOWN_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [copied]);
  const copy = async () => {
    await copyText(typeof text === 'function' ? text() : text);
    setCopied(true);
  };
  return (
    <>
      <Button
        kind="quiet"
        icon={copied ? 'check' : icon}
        iconOnly={iconOnly}
        onClick={() => void copy()}
      >
        {copied ? common.copied : (label ?? common.copy)}
      </Button>
      <span role="status" className="visually-hidden">
        {copied ? common.copied : ''}
      </span>
    </>
  );
}

/** Copies by the clipboard API, or by a selection where plain HTTP on another host forbids it. */
export async function copyText(text: string): Promise<void> {
  if (window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'visually-hidden';
  (document.querySelector('dialog[open]') ?? document.body).append(field);
  field.select();
  document.execCommand('copy');
  field.remove();
}
