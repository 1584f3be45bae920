// Writes dashboards/*.json for Grafana: `make dashboards`. Definitions of metrics come from the
// catalogue, so run it again after a change of the catalogue.

import { readFileSync, writeFileSync } from 'node:fs';

import { agent } from './agent.mjs';
import { conversations } from './conversations.mjs';
import { kioskVisits } from './kiosk-visits.mjs';
import { service } from './service.mjs';

export const DASHBOARDS = {
  'conversations.json': conversations,
  'agent.json': agent,
  'kiosk-visits.json': kioskVisits,
  'verbatim.json': service,
};

/** Text of a committed file. */
export const textOf = (name) => `${JSON.stringify(DASHBOARDS[name], null, 2)}\n`;

const isProgram = process.argv[1] === new URL(import.meta.url).pathname;
if (isProgram) {
  for (const name of Object.keys(DASHBOARDS)) {
    const file = new URL(`dashboards/${name}`, import.meta.url);
    let before = '';
    try {
      before = readFileSync(file, 'utf8');
    } catch {
      // The file is new.
    }
    if (before !== textOf(name)) {
      writeFileSync(file, textOf(name));
      console.log(`wrote deploy/grafana/dashboards/${name}`);
    }
  }
}
