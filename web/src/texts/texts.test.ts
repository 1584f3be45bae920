import { expect, test } from 'vitest';
import { de } from './de';
import { en } from './en';

/** English has the texts of the service's catalogue of metrics. */
const CATALOGUE = '/overview/metrics/';
/** A number of things needs no name of its statistic. */
const STATISTICS = '/overview/statShort/';

/** Returns each text with its path. */
function leaves(value: unknown, path = ''): [string, unknown][] {
  if (typeof value !== 'object' || value === null) return [[path, value]];
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, `${path}/${name}`));
}

test('both languages have the same texts, and none is empty', () => {
  const names = (texts: unknown) =>
    leaves(texts)
      .map(([path]) => path)
      .filter((path) => !path.startsWith(CATALOGUE));
  expect(names(de)).toEqual(names(en));
  const empty = [...leaves(en), ...leaves(de)].filter(
    ([path, text]) => text === '' && !path.startsWith(STATISTICS),
  );
  expect(empty).toEqual([]);
});
