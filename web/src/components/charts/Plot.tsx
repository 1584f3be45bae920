import { useRef, type KeyboardEvent, type PointerEvent, type ReactNode } from 'react';
import { useTexts } from '../../texts';
import styles from './charts.module.css';
import { useWidth } from './use-width';

interface Props {
  label: string;
  describedBy?: string | undefined;
  height: number | ((width: number) => number);
  handlers: { onKeyDown: (event: KeyboardEvent) => void; onBlur: () => void };
  /** The pointer moved to this pixel, or left. */
  onPoint: (at: { x: number; y: number; width: number } | null) => void;
  /** The place under the pointer was pressed. */
  onPress?: (() => void) | undefined;
  children: (width: number, height: number) => ReactNode;
  /** Beside the drawing, such as a tip. */
  overlay?: ((width: number) => ReactNode) | undefined;
}

/** The element that holds a chart: measures it, and lets keys and pointer read it. */
export function Plot(props: Props) {
  const { label, describedBy, handlers, onPoint, onPress, children, overlay } = props;
  const { overview } = useTexts();
  const ref = useRef<HTMLDivElement>(null);
  const width = useWidth(ref);
  const height = typeof props.height === 'function' ? props.height(width) : props.height;
  const onPointer = (event: PointerEvent<HTMLDivElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    onPoint({ x: event.clientX - box.left, y: event.clientY - box.top, width });
  };
  return (
    // An application handles its own keys: arrows read the chart's points.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions, jsx-a11y/click-events-have-key-events
    <div
      ref={ref}
      role="application"
      aria-roledescription={overview.chart.role}
      aria-label={`${label}. ${onPress === undefined ? overview.chart.keys : overview.chart.keysOpen}`}
      aria-describedby={describedBy}
      // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it is read by keyboard
      tabIndex={0}
      className={`${styles.chart ?? ''} ${onPress === undefined ? '' : (styles.openable ?? '')}`}
      style={{ height }}
      onPointerMove={onPointer}
      onPointerDown={onPointer}
      onPointerLeave={() => {
        onPoint(null);
      }}
      onClick={onPress}
      {...handlers}
    >
      {width > 0 && (
        <svg width={width} height={height} aria-hidden="true" focusable="false">
          {children(width, height)}
        </svg>
      )}
      {width > 0 && overlay?.(width)}
    </div>
  );
}
