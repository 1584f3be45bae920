import { useEffect, useRef, useState, type ReactNode } from 'react';

/** How far outside of the window something is made already, in pixels. */
const MARGIN_PX = 600;

/** Makes its children once they come near the window, so that what nobody scrolls to is not loaded. */
export function WhenNear({ height, children }: { height: number; children: ReactNode }) {
  const ref = useRef<HTMLDivElement>(null);
  const [near, setNear] = useState(() => typeof IntersectionObserver === 'undefined');
  useEffect(() => {
    const element = ref.current;
    if (near || element === null) return;
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) setNear(true);
      },
      { root: scrollerOf(element), rootMargin: `${String(MARGIN_PX)}px` },
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
    };
  }, [near]);
  return (
    <div ref={ref} style={near ? undefined : { minHeight: height }}>
      {near && children}
    </div>
  );
}

/** Returns the element that scrolls what is in it; null is the window. */
function scrollerOf(element: HTMLElement): HTMLElement | null {
  for (let parent = element.parentElement; parent !== null; parent = parent.parentElement) {
    if (/auto|scroll/.test(getComputedStyle(parent).overflowY)) return parent;
  }
  return null;
}
