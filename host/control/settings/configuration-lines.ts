// Finds the line of a TOML file that a key is on.
//
// The parser returns values without positions, so a mistake that the schema finds is located here. This reads only what that
// takes: table headers and the beginnings of keys, outside strings and comments. It runs on text that the parser has accepted, so
// it may assume well-formed TOML.

export interface KeyPosition {
  /** Keys and array indexes, from the root. */
  readonly path: readonly (string | number)[];
  /** From 1. */
  readonly line: number;
}

interface Cursor {
  at: number;
  line: number;
}

const BARE = /[A-Za-z0-9_-]/;

/** Every key of the file, in order. */
export function keyPositions(text: string): KeyPosition[] {
  const positions: KeyPosition[] = [];
  const cursor: Cursor = { at: 0, line: 1 };
  const arrayCounts = new Map<string, number>();
  let table: readonly (string | number)[] = [];

  while (skipBlank(text, cursor, true)) {
    if (text[cursor.at] === "[") {
      const isArray = text[cursor.at + 1] === "[";
      const line = cursor.line;
      cursor.at += isArray ? 2 : 1;
      const keys = readKeys(text, cursor);
      table = resolve(keys, isArray, arrayCounts);
      positions.push({ path: table, line });
      cursor.at += isArray ? 2 : 1;
    } else {
      readPair(text, cursor, table, positions);
    }
  }
  return positions;
}

/** The line of `path`, or of its nearest ancestor in the file; 1 when there is none. */
export function lineOf(positions: readonly KeyPosition[], path: readonly PropertyKey[]): number {
  for (let depth = path.length; depth > 0; depth--) {
    const wanted = JSON.stringify(path.slice(0, depth));
    const found = positions.find((position) => JSON.stringify(position.path) === wanted);
    if (found !== undefined) return found.line;
  }
  return 1;
}

/** `[a.b]` after `[[a]]` means the last element of a. */
function resolve(keys: string[], isArray: boolean, counts: Map<string, number>): readonly (string | number)[] {
  const path: (string | number)[] = [];
  for (const [depth, key] of keys.entries()) {
    path.push(key);
    const name = JSON.stringify(path);
    const last = depth === keys.length - 1;
    if (last && isArray) counts.set(name, (counts.get(name) ?? -1) + 1);
    const index = counts.get(name);
    if (index !== undefined) path.push(index);
  }
  return path;
}

function readPair(text: string, cursor: Cursor, table: readonly (string | number)[], positions: KeyPosition[]): void {
  const line = cursor.line;
  const keys = readKeys(text, cursor);
  if (text[cursor.at] !== "=") {
    cursor.at++;
    return;
  }
  cursor.at++;
  const path = [...table, ...keys];
  positions.push({ path, line });
  readValue(text, cursor, path, positions);
}

function readValue(text: string, cursor: Cursor, path: readonly (string | number)[], positions: KeyPosition[]): void {
  skipBlank(text, cursor, false);
  const first = text[cursor.at];
  if (first === '"' || first === "'") skipString(text, cursor);
  else if (first === "[") readArray(text, cursor, path, positions);
  else if (first === "{") readInlineTable(text, cursor, path, positions);
  else while (cursor.at < text.length && !/[,\]}\n#]/.test(text[cursor.at] ?? "")) cursor.at++;
}

function readArray(text: string, cursor: Cursor, path: readonly (string | number)[], positions: KeyPosition[]): void {
  cursor.at++;
  for (let index = 0; skipBlank(text, cursor, true) && text[cursor.at] !== "]"; index++) {
    positions.push({ path: [...path, index], line: cursor.line });
    readValue(text, cursor, [...path, index], positions);
    skipBlank(text, cursor, true);
    if (text[cursor.at] === ",") cursor.at++;
  }
  cursor.at++;
}

function readInlineTable(
  text: string,
  cursor: Cursor,
  path: readonly (string | number)[],
  positions: KeyPosition[],
): void {
  cursor.at++;
  while (skipBlank(text, cursor, true) && text[cursor.at] !== "}") {
    readPair(text, cursor, path, positions);
    skipBlank(text, cursor, true);
    if (text[cursor.at] === ",") cursor.at++;
  }
  cursor.at++;
}

/** Reads `a.b."c d"` and the blanks after it. */
function readKeys(text: string, cursor: Cursor): string[] {
  const keys: string[] = [];
  for (;;) {
    skipBlank(text, cursor, false);
    const start = cursor.at;
    if (text[start] === '"' || text[start] === "'") {
      skipString(text, cursor);
      keys.push(text.slice(start + 1, cursor.at - 1));
    } else {
      while (BARE.test(text[cursor.at] ?? "")) cursor.at++;
      keys.push(text.slice(start, cursor.at));
    }
    skipBlank(text, cursor, false);
    if (text[cursor.at] !== ".") return keys;
    cursor.at++;
  }
}

/** Skips blanks, and comments and line ends if `lines`; false at the end of the text. */
function skipBlank(text: string, cursor: Cursor, lines: boolean): boolean {
  for (; cursor.at < text.length; cursor.at++) {
    const character = text[cursor.at];
    if (character === "\n" && lines) cursor.line++;
    else if (character === "#" && lines) {
      const end = text.indexOf("\n", cursor.at);
      cursor.at = (end === -1 ? text.length : end) - 1;
    } else if (character !== " " && character !== "\t" && character !== "\r") return true;
  }
  return false;
}

function skipString(text: string, cursor: Cursor): void {
  const quote = text[cursor.at] ?? '"';
  const closing = text.startsWith(quote.repeat(3), cursor.at) ? quote.repeat(3) : quote;
  cursor.at += closing.length;
  while (cursor.at < text.length && !text.startsWith(closing, cursor.at)) {
    if (text[cursor.at] === "\\" && quote === '"') cursor.at++;
    if (text[cursor.at] === "\n") cursor.line++;
    cursor.at++;
  }
  cursor.at += closing.length;
}
