/** Returns the bytes of a base64 text. */
export function decodeBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
const INDENT = '  ';

/**
 * Returns the JSON with line breaks and indents, or null where it is none. Only white space changes:
 * numbers keep all their digits and texts their escapes, which reading and writing it would lose.
 */
export function prettyJson(text: string): string | null {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const tokens = text.match(TOKENS) ?? [];
  let depth = 0;
  let result = '';
  const breakLine = () => {
    result += `\n${INDENT.repeat(depth)}`;
  };
  tokens.forEach((token, index) => {
    const before = tokens[index - 1];
    const opened = before === '{' || before === '[';
    if (token === '}' || token === ']') {
      depth -= 1;
      if (!opened) breakLine();
    } else if (opened) {
      breakLine();
    }
    result += token;
    if (token === '{' || token === '[') depth += 1;
    if (token === ':') result += ' ';
    if (token === ',') breakLine();
  });
  return result;
}

export interface HexRow {
  /** Place of the first byte, in hex. */
  offset: string;
  hex: string;
  /** Printable ASCII as it is, everything else as a dot. */
  ascii: string;
}

/** Returns one row of the hex view; rows are counted from 0. */
export function hexRow(bytes: Uint8Array, row: number, width: number): HexRow {
  const start = row * width;
  const part = [...bytes.subarray(start, start + width)];
  return {
    offset: start.toString(16).padStart(6, '0'),
    hex: part.map((byte) => byte.toString(16).padStart(2, '0')).join(' '),
    ascii: part
      .map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.'))
      .join(''),
  };
}

/** Returns the number of rows of the hex view. */
export function hexRowCount(bytes: Uint8Array, width: number): number {
  return Math.ceil(bytes.length / width);
}
