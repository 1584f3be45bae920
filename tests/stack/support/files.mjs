// Files of the repository.

import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { parse, parseAllDocuments } from 'yaml';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

export const at = (...parts) => path.join(ROOT, ...parts);
export const read = (...parts) => readFileSync(at(...parts), 'utf8');
export const readYaml = (...parts) => parse(read(...parts), { merge: true });
export const documents = (text) => parseAllDocuments(text).map((each) => each.toJS());
export const list = (...parts) => readdirSync(at(...parts)).sort();

/** Committed dashboards by file name. */
export const dashboards = () =>
  Object.fromEntries(
    list('deploy', 'grafana', 'dashboards').map((name) => [
      name,
      JSON.parse(read('deploy', 'grafana', 'dashboards', name)),
    ]),
  );

/** Panels other than headings. */
export const panelsOf = (dashboard) => dashboard.panels.filter((panel) => panel.type !== 'row');

/** Anchors of a page's headings, as GitHub makes them. */
export const anchorsOf = (markdown) =>
  new Set(
    [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
