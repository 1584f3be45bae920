const MARGIN_PX = 8;
const GAP_PX = 4;

/** Puts a popover below its button, or above where there is more room, within the window. */
export function placePopover(panel: HTMLElement, button: HTMLElement): void {
  const anchor = button.getBoundingClientRect();
  const { innerWidth, innerHeight } = window;
  const below = innerHeight - anchor.bottom - MARGIN_PX - GAP_PX;
  const above = anchor.top - MARGIN_PX - GAP_PX;
  const up = panel.scrollHeight > below && above > below;
  panel.style.maxHeight = `${Math.max(120, up ? above : below)}px`;
  const { width, height } = panel.getBoundingClientRect();
  const rtl = getComputedStyle(button).direction === 'rtl';
  const left = rtl ? anchor.right - width : anchor.left;
  panel.style.left = `${clamp(left, MARGIN_PX, innerWidth - width - MARGIN_PX)}px`;
  panel.style.top = `${up ? anchor.top - GAP_PX - height : anchor.bottom + GAP_PX}px`;
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(value, high));
}
