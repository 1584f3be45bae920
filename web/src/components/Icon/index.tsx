const PATHS = {
  chat: 'M3 4h14v9H9l-4 3v-3H3z',
  chart: 'M3 17V3M3 17h14M7 13v-3M11 13V6M15 13V9',
  inbox: 'M3 11l2-7h10l2 7v5H3zM3 11h4l1 2h4l1-2h4',
  plug: 'M7 3v4M13 3v4M5 7h10v3a5 5 0 0 1-10 0zM10 15v3',
  pulse: 'M2 10h4l2-6 4 12 2-6h4',
  key: 'M12.5 3a4.5 4.5 0 1 1-4 6.5L3 15v2h3v-2h2v-2l1-1M13.5 6.5h.01',
  archive: 'M3 4h14v4H3zM4 8v8h12V8M8 11h4',
  settings:
    'M10 7.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM10 2v2.5M10 15.5V18M2 10h2.5M15.5 10H18M4.3 4.3l1.8 1.8M13.9 13.9l1.8 1.8M15.7 4.3l-1.8 1.8M6.1 13.9l-1.8 1.8',
  command: 'M4 6l4 4-4 4M10 15h6',
  search: 'M9 3a6 6 0 1 0 0 12A6 6 0 0 0 9 3zM13.5 13.5L18 18',
  close: 'M5 5l10 10M15 5L5 15',
  copy: 'M7 7h10v10H7zM13 7V3H3v10h4',
  check: 'M4 10l4 4 8-8',
  link: 'M8 12l4-4M9 6l2-2a3.5 3.5 0 0 1 5 5l-2 2M11 14l-2 2a3.5 3.5 0 0 1-5-5l2-2',
  download: 'M10 3v10M6 9l4 4 4-4M3 17h14',
  back: 'M12 4l-6 6 6 6',
  forward: 'M8 4l6 6-6 6',
  down: 'M5 8l5 5 5-5',
  up: 'M5 12l5-5 5 5',
  print: 'M6 7V3h8v4M6 14H3V7h14v7h-3M6 12h8v5H6z',
  bookmark: 'M5 3h10v14l-5-4-5 4z',
  filter: 'M3 5h14M6 10h8M9 15h2',
  warning: 'M10 3l8 14H2zM10 8v4M10 14.5h.01',
  plus: 'M10 4v12M4 10h12',
  pencil: 'M4 16l1-4 8-8 3 3-8 8zM11 6l3 3',
  trash: 'M4 6h12M8 6V4h4v2M6 6l1 11h6l1-11',
  retry: 'M16 6v4h-4M16 10a6 6 0 1 0-1.5 4',
  external: 'M8 4H4v12h12v-4M11 4h5v5M16 4l-7 7',
} as const;

export type IconName = keyof typeof PATHS;
export const ICON_NAMES = Object.keys(PATHS) as IconName[];

/** A line icon, 20 × 20; it never carries the meaning alone. */
export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
