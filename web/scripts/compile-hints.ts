import type { Plugin } from 'vite';

/**
 * Chromium compiles a file that begins with this while it arrives, beside the main thread. Without it,
 * each function is compiled when it is first called, which a slow processor waits for. Other browsers
 * read a comment.
 */
const COMPILE_AT_ONCE = '//# allFunctionsCalledOnLoad\n';

/** Marks the files of the first view, nearly all of which runs at once. */
export function compileHints(): Plugin {
  return {
    name: 'compile-hints',
    apply: 'build',
    enforce: 'post',
    generateBundle: {
      // After Vite, which adds lines of its own.
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
