import { useState, type KeyboardEvent } from 'react';
import { announce } from './announcer';
import { moveReading, type Extent, type Place } from './reading';

interface Options {
  extent: Extent;
  /** What is read aloud at a place. */
  textOf: (place: Place) => string;
  /** Opens what is behind a place. */
  onOpen?: ((place: Place) => void) | undefined;
}

/** Reads a chart by arrow keys and by pointer: the place, and what its element listens with. */
export function useReading({ extent, textOf, onOpen }: Options) {
  const [place, setPlace] = useState<Place | null>(null);
  // Other data may have fewer points.
  const within =
    place !== null && place.row < extent.rows && place.column < extent.columns ? place : null;

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Escape' && within !== null) {
      setPlace(null);
      event.preventDefault();
      return;
    }
    if (event.key === 'Enter' && within !== null && onOpen !== undefined) {
      event.preventDefault();
      onOpen(within);
      return;
    }
    const next = moveReading(event.key, within, extent);
    if (next === null) return;
    event.preventDefault();
    setPlace(next);
    announce(textOf(next));
  };
  return {
    place: within,
    point: setPlace,
    handlers: {
      onKeyDown,
      onBlur: () => {
        setPlace(null);
      },
    },
  };
}
