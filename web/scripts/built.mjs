// Builds the page into a temporary folder, and fails if dist differs.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { build } from 'vite';

const COMMITTED = 'dist';
/** Versions of Node compress differently, so compressed files are compared by their content. */
const DECOMPRESS = { br: brotliDecompressSync, gz: gunzipSync };

/** Returns the content of each file by its path. */
async function filesOf(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const read = async (path) => {
    const bytes = await readFile(path);
    const decompress = DECOMPRESS[path.split('.').at(-1)];
    return [path.slice(folder.length + 1), decompress === undefined ? bytes : decompress(bytes)];
  };
  return new Map(await Promise.all(files.map(read)));
}

const folder = await mkdtemp(join(tmpdir(), 'verbatim-dist-'));
try {
  await build({ logLevel: 'warn', build: { outDir: folder, emptyOutDir: true } });
  const [built, committed] = [await filesOf(folder), await filesOf(COMMITTED)];
  const names = [...new Set([...built.keys(), ...committed.keys()])];
  const others = names.filter(
    (name) => built.get(name)?.equals(committed.get(name) ?? Buffer.alloc(0)) !== true,
  );
  if (others.length > 0) {
    console.error(
      `web/dist is not what the sources build; run \`make page\`:\n${others.join('\n')}`,
    );
    process.exitCode = 1;
  } else {
    console.log(`web/dist is what the sources build: ${built.size} files`);
  }
} finally {
  await rm(folder, { recursive: true });
}
