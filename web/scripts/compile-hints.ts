import type { Plugin } from 'vite';

/**
 * Chromium compiles a file with this first line while it loads, outside the main thread. Without it,
 * each function is compiled at its first call, which is slow on slow processors. Other browsers
 * ignore the comment.
 */
const COMPILE_AT_ONCE = '//# allFunctionsCalledOnLoad\n';

/** Adds the hint to the files of the first view, which run almost completely at start. */
export function compileHints(): Plugin {
  return {
    name: 'compile-hints',
    apply: 'build',
    enforce: 'post',
    generateBundle: {
      // After Vite, which also adds lines.
      order: 'post',
      handler(_, bundle) {
        const chunks = Object.values(bundle).filter((one) => one.type === 'chunk');
        const entries = chunks.filter((chunk) => chunk.isEntry);
        const first = new Set(entries.flatMap((chunk) => [chunk.fileName, ...chunk.imports]));
        for (const chunk of chunks) {
          if (first.has(chunk.fileName)) chunk.code = COMPILE_AT_ONCE + chunk.code;
        }
      },
    },
  };
}
