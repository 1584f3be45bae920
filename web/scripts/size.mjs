// Lists the JavaScript of the first view, and fails if it is larger than the budget.
// The first view is the list of conversations, which is part of the entry.
import { readFile, stat } from 'node:fs/promises';

const BUDGET_BYTES = 150_000;
const FIRST_VIEW = ['index.html'];
const FOLDER = 'dist';

const manifest = JSON.parse(await readFile(`${FOLDER}/.vite/manifest.json`, 'utf8'));
const wanted = new Set();

function visit(name) {
  const chunk = manifest[name];
  if (chunk === undefined) throw new Error(`${name} is not in the manifest`);
  if (wanted.has(chunk.file)) return;
  wanted.add(chunk.file);
  (chunk.imports ?? []).forEach(visit);
}

async function compressedSize(file) {
  const path = `${FOLDER}/${file}`;
  const compressed = await stat(`${path}.br`).catch(() => undefined);
  return (compressed ?? (await stat(path))).size;
}

FIRST_VIEW.forEach(visit);
wanted.add('early.js');
const rows = await Promise.all(
  [...wanted].map(async (file) => ({ file, bytes: await compressedSize(file) })),
);
rows.sort((a, b) => b.bytes - a.bytes);
const total = rows.reduce((sum, row) => sum + row.bytes, 0);
for (const row of rows) console.log(`${String(row.bytes).padStart(8)} B  ${row.file}`);
console.log(
  `${String(total).padStart(8)} B  of ${BUDGET_BYTES} (JavaScript of the first view, brotli)`,
);
if (total > BUDGET_BYTES) process.exit(1);
