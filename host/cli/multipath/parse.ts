// Reads the language of multipath.conf (man page multipath.conf(5), "SYNTAX"): sections in braces, one `keyword value` a
// line, values with blanks in double quotes, `""` in quotes for a quote, comments from `#` or `!` at the start of a word.

/** A place in the file, both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** `keyword value` or `keyword { ... }`. */
export type Statement =
  | {
      readonly kind: "value";
      readonly name: string;
      readonly place: Place;
      readonly value: string;
      readonly valuePlace: Place;
    }
  | { readonly kind: "section"; readonly name: string; readonly place: Place; readonly body: readonly Statement[] };

/** What is wrong with the file, and where. */
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
  /** Index behind the token. */
  readonly end: number;
  readonly problem?: Problem;
}

const isBlank = (character: string): boolean => /\s/.test(character);

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
    text[end] !== "{" &&
    text[end] !== "}" &&
    text[end] !== '"'
  ) {
    end += 1;
  }
  return { token: { kind: "word", text: text.slice(start, end), quoted: false, ...place }, end };
}

/** The tokens of one line, up to a comment. */
function tokensOfLine(text: string, line: number, problems: Problem[]): Token[] {
  const tokens: Token[] = [];
  let index = 0;
  while (index < text.length) {
    const character = text[index] ?? "";
    if (isBlank(character)) {
      index += 1;
      continue;
    }
    // `!` begins a comment only as the first word; elsewhere it inverts a pattern.
    if (character === "#" || (character === "!" && tokens.length === 0)) break;
    const { token, end, problem } = scanToken(text, index, { line, column: index + 1 });
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

/** Takes the statements of one line, where several may stand (`section { keyword value }`). */
function takeLine(tokens: readonly Token[], open: OpenSection[], problems: Problem[]): void {
  let index = 0;
  while (index < tokens.length) {
    const token = tokens[index];
    const section = open.at(-1);
    if (token === undefined || section === undefined) return;
    const next = tokens[index + 1];
    if (token.kind === "close") {
      closeSection(token, open, problems);
      index += 1;
    } else if (token.kind === "open") {
      problems.push({ ...placeOf(token), message: "a brace without the name of a section before it" });
      index += 1;
    } else if (next?.kind === "open") {
      open.push({ name: token.text, place: placeOf(token), body: [] });
      index += 2;
    } else if (next === undefined || next.kind === "close") {
      problems.push({ ...placeOf(token), message: `${token.text} has no value` });
      index += 1;
    } else {
      const { text: name } = token;
      section.body.push({ kind: "value", name, place: placeOf(token), value: next.text, valuePlace: placeOf(next) });
      index += 2;
      const extra = tokens[index];
      if (extra?.kind === "word") {
        problems.push({ ...placeOf(extra), message: `${extra.text} is too much: put a value with blanks in quotes` });
        while (tokens[index]?.kind === "word") index += 1;
      }
    }
  }
}

const placeOf = ({ line, column }: Place): Place => ({ line, column });

function closeSection(token: Token, open: OpenSection[], problems: Problem[]): void {
  const closed = open.at(-1);
  const parent = open.at(-2);
  if (closed === undefined || parent === undefined) {
    problems.push({ ...placeOf(token), message: "a closing brace without a section" });
    return;
  }
  open.pop();
  parent.body.push({ kind: "section", name: closed.name, place: closed.place, body: closed.body });
}

/** Reads a whole file; `problems` holds every mistake of form. */
export function parseMultipathConf(text: string): {
  readonly statements: readonly Statement[];
  readonly problems: readonly Problem[];
} {
  const problems: Problem[] = [];
  const statements: Statement[] = [];
  const open: OpenSection[] = [{ name: "", place: { line: 1, column: 1 }, body: statements }];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    takeLine(tokensOfLine(line, index + 1, problems), open, problems);
  }
  for (const section of open.slice(1).toReversed()) {
    problems.push({ ...section.place, message: `section ${section.name} is not closed` });
    closeSection({ kind: "close", text: "}", quoted: false, ...section.place }, open, []);
  }
  return { statements, problems };
}
