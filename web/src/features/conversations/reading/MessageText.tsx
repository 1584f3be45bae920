import { useContext, useState } from 'react';
import { Button } from '../../../components/Button';
import { useFormat } from '../../../format/use-format';
import { useTexts } from '../../../texts';
import { FindContext, splitHits } from './find';
import styles from './Reading.module.css';
import { SHOWN_CHARACTERS } from './rows';

/** The text of a message: never markup, in its own direction, cut where it is very long. */
export function MessageText({ text }: { text: string }) {
  const { conversations } = useTexts();
  const format = useFormat();
  const needle = useContext(FindContext);
  const [open, setOpen] = useState(false);
  const long = text.length > SHOWN_CHARACTERS;
  const shown = long && !open ? cut(text) : text;
  return (
    <>
      <p className={styles.text} dir="auto">
        {needle === ''
          ? shown
          : splitHits(shown, needle).map((piece) =>
              piece.hit ? <mark key={piece.start}>{piece.text}</mark> : piece.text,
            )}
        {long && !open && ' …'}
      </p>
      {long && (
        <Button
          kind="quiet"
          aria-expanded={open}
          onClick={() => {
            setOpen(!open);
          }}
        >
          {open
            ? conversations.reading.showLess
            : conversations.reading.showAll(format.count(text.length))}
        </Button>
      )}
    </>
  );
}

/** Cuts a text without splitting a surrogate pair. */
function cut(text: string): string {
  const last = text.charCodeAt(SHOWN_CHARACTERS - 1);
  const splits = last >= 0xd800 && last <= 0xdbff;
  return text.slice(0, splits ? SHOWN_CHARACTERS - 1 : SHOWN_CHARACTERS);
}
