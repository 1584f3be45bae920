/** Returns the zones to choose from: the current one, the device's and UTC first, then all others. */
export function zoneNames(current: string, device: string): string[] {
  const first = [current, device, 'UTC'];
  return [...new Set([...first, ...Intl.supportedValuesOf('timeZone')])];
}
