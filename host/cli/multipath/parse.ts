// Parses the syntax of multipath.conf (man page multipath.conf(5), "SYNTAX"): sections in braces, one `keyword value` per
// line, values with blanks in double quotes, `""` in quotes for a quote, comments from `#` or `!` outside quotes. Beyond the
// man page, like multipath-tools: a brace may open on the next line, and whatever follows a value has no effect.

/** A position in the file, both counted from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
  /** The file, when there are several. */
  readonly file?: string;
}

/** `keyword value` or `keyword { ... }`. */
export type Statement =
  | {
      readonly kind: "value";
      readonly name: string;
      readonly place: Place;
      readonly value: string;
      readonly valuePlace: Place;
      /** More words follow on the line; they have no effect. */
      readonly isCut: boolean;
    }
  | { readonly kind: "section"; readonly name: string; readonly place: Place; readonly body: readonly Statement[] };

export type ValueStatement = Statement & { kind: "value" };
export type SectionStatement = Statement & { kind: "section" };

/** A mistake in the file, and where it is. */
export interface Problem extends Place {
  readonly message: string;
}

interface Token extends Place {
  readonly kind: "word" | "open" | "close";
  readonly text: string;
  readonly quoted: boolean;
}

interface Scanned {
  readonly token: Token;
  /** Index after the token. */
  readonly end: number;
  readonly problem?: Problem;
}

/** Outside quotes, non-ASCII characters count as blanks, too. */
const isBlank = (character: string): boolean => /[\s\u0080-\uffff]/.test(character);
const isComment = (character: string): boolean => character === "#" || character === "!";

function scanQuoted(text: string, start: number, place: Place): Scanned {
  let value = "";
  for (let index = start + 1; index < text.length; index += 1) {
    if (text[index] !== '"') {
      value += text[index];
    } else if (text[index + 1] === '"') {
      value += '"';
      index += 1;
    } else {
      return { token: { kind: "word", text: value, quoted: true, ...place }, end: index + 1 };
    }
  }
  const problem = { ...place, message: "a quoted value is not ended on its line" };
  return { token: { kind: "word", text: value, quoted: true, ...place }, end: text.length, problem };
}

function scanToken(text: string, start: number, place: Place): Scanned {
  const first = text[start] ?? "";
  if (first === '"') return scanQuoted(text, start, place);
  if (first === "{" || first === "}") {
    return { token: { kind: first === "{" ? "open" : "close", text: first, quoted: false, ...place }, end: start + 1 };
  }
  let end = start;
  while (
    end < text.length &&
    !isBlank(text[end] ?? "") &&
    !isComment(text[end] ?? "") &&
    text[end] !== "{" &&
    text[end] !== "}" &&
    text[end] !== '"'
  ) {
    end += 1;
  }
  return { token: { kind: "word", text: text.slice(start, end), quoted: false, ...place }, end };
}

/** The tokens of one line, up to a comment. */
function tokensOfLine(text: string, at: Pick<Place, "line" | "file">, problems: Problem[]): Token[] {
  const tokens: Token[] = [];
  let index = 0;
  while (index < text.length) {
    const character = text[index] ?? "";
    if (isBlank(character)) {
      index += 1;
      continue;
    }
    if (isComment(character)) break;
    const { token, end, problem } = scanToken(text, index, { ...at, column: index + 1 });
    tokens.push(token);
    if (problem !== undefined) problems.push(problem);
    index = end;
  }
  return tokens;
}

interface OpenSection {
  readonly name: string;
  readonly place: Place;
  readonly body: Statement[];
}

const placeOf = ({ line, column, file }: Place): Place => ({ line, column, ...(file === undefined ? {} : { file }) });

class Reader {
  readonly statements: Statement[] = [];
  readonly problems: Problem[] = [];
  readonly #open: OpenSection[];
  /** A word that ended its line: a section's name if the next line opens the section. */
  #name: Token | undefined;

  constructor() {
    this.#open = [{ name: "", place: { line: 1, column: 1 }, body: this.statements }];
  }

  #complain(place: Place, message: string): void {
    this.problems.push({ ...placeOf(place), message });
  }

  /** Parses the statements of one line; there may be several (`section { keyword value }`). */
  takeLine(tokens: readonly Token[]): void {
    let index = 0;
    if (this.#name !== undefined && tokens.length > 0) {
      const name = this.#name;
      this.#name = undefined;
      if (tokens[0]?.kind === "open") {
        this.#open.push({ name: name.text, place: placeOf(name), body: [] });
        index = 1;
      } else this.#complain(name, `${name.text} has no value`);
    }
    while (index < tokens.length) index += this.#take(tokens[index], tokens.slice(index + 1));
  }

  /** Parses what begins with `token`; returns the number of tokens consumed. */
  #take(token: Token | undefined, rest: readonly Token[]): number {
    const [next] = rest;
    if (token === undefined) return 1;
    if (token.kind === "close") {
      this.#close(token);
      return 1;
    }
    if (token.kind === "open") {
      this.#complain(token, "a brace without the name of a section before it");
      return 1;
    }
    if (next?.kind === "open") {
      this.#open.push({ name: token.text, place: placeOf(token), body: [] });
      return 2;
    }
    if (next === undefined) {
      this.#name = token;
      return 1;
    }
    if (next.kind === "close") {
      this.#complain(token, `${token.text} has no value`);
      return 1;
    }
    const words = rest.findIndex((word) => word.kind !== "word");
    const length = words === -1 ? rest.length : words;
    this.#open.at(-1)?.body.push({
      kind: "value",
      name: token.text,
      place: placeOf(token),
      value: next.text,
      valuePlace: placeOf(next),
      isCut: length > 1,
    });
    return 1 + length;
  }

  #close(token: Place): void {
    const closed = this.#open.at(-1);
    const parent = this.#open.at(-2);
    if (closed === undefined || parent === undefined) {
      this.#complain(token, "a closing brace without a section");
      return;
    }
    this.#open.pop();
    parent.body.push({ kind: "section", name: closed.name, place: closed.place, body: closed.body });
  }

  end(): void {
    if (this.#name !== undefined) this.#complain(this.#name, `${this.#name.text} has no value`);
    for (const section of this.#open.slice(1).toReversed()) {
      this.#complain(section.place, `section ${section.name} is not closed`);
      this.#close(section.place);
    }
  }
}

/** Parses a whole file; `problems` lists every syntax error. @param file its name, when places have to include it */
export function parseMultipathConf(
  text: string,
  file?: string,
): { readonly statements: readonly Statement[]; readonly problems: readonly Problem[] } {
  const reader = new Reader();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const at = { line: index + 1, ...(file === undefined ? {} : { file }) };
    reader.takeLine(tokensOfLine(line, at, reader.problems));
  }
  reader.end();
  return reader;
}
