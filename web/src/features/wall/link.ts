import { isZone } from '../../format/time';

/** What a wall link carries in its fragment, which is never sent to a server. */
export interface WallLink {
  key: string;
  zone: string | null;
}

/** Returns key and zone of `#key=…&tz=…`, or null where there is no key. */
export function parseWallHash(hash: string): WallLink | null {
  const params = new URLSearchParams(hash.replace(/^#/, ''));
  const key = params.get('key');
  if (key === null || key === '') return null;
  const zone = params.get('tz');
  return { key, zone: zone !== null && isZone(zone) ? zone : null };
}

/** Returns the link of a wall in this service. */
export function wallUrl(origin: string, { key, zone }: WallLink): string {
  const params = new URLSearchParams({ key, ...(zone !== null && { tz: zone }) });
  return `${origin}/wall#${params.toString()}`;
}
