// POSIX extended regular expressions, as regcomp(REG_EXTENDED | REG_NOSUB) of the GNU C library reads them in the C locale: the
// language of multipath.conf. They are matched by following all alternatives at once, so that the time is bounded by the lengths
// of expression and text, whatever the configuration file contains.

/** Longest expression, in characters. */
const EXPRESSION_MAX = 4096;
/** Steps an expression may have once its bounds (`{2,30}`) are expanded. */
const STEPS_MAX = 20_000;
/** Largest bound (RE_DUP_MAX of POSIX is at least 255). */
const BOUND_MAX = 32_767;
/** Deepest nesting of parentheses. */
const DEPTH_MAX = 100;

export class EreError extends Error {
  /** Position in the expression, from 0. */
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

type Test = (code: number) => boolean;

type Node =
  | { readonly kind: "one"; readonly test: Test }
  | { readonly kind: "start" | "end" }
  | { readonly kind: "sequence" | "alternatives"; readonly of: readonly Node[] }
  | { readonly kind: "repeat"; readonly of: Node; readonly min: number; readonly max: number | null };

const isDigit: Test = (code) => code >= 0x30 && code <= 0x39;
const isUpper: Test = (code) => code >= 0x41 && code <= 0x5a;
const isLower: Test = (code) => code >= 0x61 && code <= 0x7a;
const isAlpha: Test = (code) => isUpper(code) || isLower(code);
const isAlnum: Test = (code) => isAlpha(code) || isDigit(code);
const isBlank: Test = (code) => code === 0x20 || code === 0x09;
const isSpace: Test = (code) => code === 0x20 || (code >= 0x09 && code <= 0x0d);
const isGraph: Test = (code) => code > 0x20 && code < 0x7f;

const CLASSES: Readonly<Record<string, Test>> = {
  alnum: isAlnum,
  alpha: isAlpha,
  blank: isBlank,
  cntrl: (code) => code < 0x20 || code === 0x7f,
  digit: isDigit,
  graph: isGraph,
  lower: isLower,
  print: (code) => code >= 0x20 && code < 0x7f,
  punct: (code) => isGraph(code) && !isAlnum(code),
  space: isSpace,
  upper: isUpper,
  xdigit: (code) => isDigit(code) || (code >= 0x41 && code <= 0x46) || (code >= 0x61 && code <= 0x66),
};

const isWord: Test = (code) => isAlnum(code) || code === 0x5f;
/** GNU extensions to POSIX that concern one character. */
const ESCAPES: Readonly<Record<string, Test>> = {
  w: isWord,
  W: (code) => !isWord(code),
  s: isSpace,
  S: (code) => !isSpace(code),
};

class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): Node {
    return this.#alternatives();
  }

  #next(): string {
    return this.#text[this.#at] ?? "";
  }

  #fail(message: string, at = this.#at): never {
    throw new EreError(message, at);
  }

  #alternatives(): Node {
    const of = [this.#sequence()];
    while (this.#next() === "|") {
      this.#at += 1;
      of.push(this.#sequence());
    }
    return { kind: "alternatives", of };
  }

  #sequence(): Node {
    const of: Node[] = [];
    for (;;) {
      const character = this.#next();
      if (character === "" || character === "|" || (character === ")" && this.#depth > 0)) break;
      of.push(this.#repeated());
    }
    return { kind: "sequence", of };
  }

  #repeated(): Node {
    let node = this.#atom();
    if (node.kind === "start" || node.kind === "end") return node;
    for (;;) {
      const bounds = this.#bounds();
      if (bounds === null) return node;
      node = { kind: "repeat", of: node, ...bounds };
    }
  }

  #bounds(): { readonly min: number; readonly max: number | null } | null {
    const simple = { "*": { min: 0, max: null }, "+": { min: 1, max: null }, "?": { min: 0, max: 1 } };
    const character = this.#next();
    if (character === "*" || character === "+" || character === "?") {
      this.#at += 1;
      return simple[character];
    }
    if (character !== "{") return null;
    const found = /^\{(\d*)(,(\d*))?\}/.exec(this.#text.slice(this.#at, this.#at + 32));
    const [whole = "", least = "", range, most = ""] = found ?? [];
    if (found === null || (least === "" && range === undefined)) return this.#fail("{ begins a bound that is none");
    const min = Number(least);
    const max = range === undefined ? min : most === "" ? null : Number(most);
    if (min > BOUND_MAX || (max !== null && (max > BOUND_MAX || max < min))) this.#fail(`${whole} is no bound`);
    this.#at += whole.length;
    return { min, max };
  }

  #atom(): Node {
    const at = this.#at;
    const character = this.#next();
    this.#at += 1;
    switch (character) {
      case "(":
        return this.#group(at);
      case "[":
        return { kind: "one", test: this.#bracket(at) };
      case ".":
        return { kind: "one", test: (code) => code !== 0 };
      case "^":
        return { kind: "start" };
      case "$":
        return { kind: "end" };
      case "*":
      case "+":
      case "?":
      case "{":
        return this.#fail(`there is nothing before ${character} to repeat`, at);
      case "\\":
        return this.#escape(at);
      default:
        return literal(character);
    }
  }

  #group(at: number): Node {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) this.#fail("parentheses are nested too deeply", at);
    const inner = this.#alternatives();
    if (this.#next() !== ")") this.#fail("( is not closed", at);
    this.#at += 1;
    this.#depth -= 1;
    // A group of an anchor alone may be repeated; the anchor itself may not.
    return { kind: "sequence", of: [inner] };
  }

  #escape(at: number): Node {
    const character = this.#next();
    if (character === "") this.#fail("a backslash ends it", at);
    this.#at += 1;
    const test = ESCAPES[character];
    if (test !== undefined) return { kind: "one", test };
    if (/[1-9]/.test(character)) this.#fail(`a back-reference (\\${character}) is not known here`, at);
    if ("bB<>`'".includes(character)) this.#fail(`\\${character} is not known here`, at);
    return literal(character);
  }

  #bracket(at: number): Test {
    const isInverted = this.#next() === "^";
    if (isInverted) this.#at += 1;
    const tests: Test[] = [];
    for (let isFirst = true; isFirst || this.#next() !== "]"; isFirst = false) {
      if (this.#next() === "") this.#fail("[ is not closed", at);
      tests.push(this.#bracketItem(at));
    }
    this.#at += 1;
    return (code) => tests.some((test) => test(code)) !== isInverted;
  }

  #bracketItem(at: number): Test {
    const named = /^\[:([a-z]*):\]/.exec(this.#text.slice(this.#at, this.#at + 16));
    if (named !== null) {
      const [whole, name = ""] = named;
      const test = CLASSES[name];
      if (test === undefined) return this.#fail(`${whole} is no class of characters`);
      this.#at += whole.length;
      if (this.#isRange()) this.#fail("a range cannot begin with a class");
      return test;
    }
    const first = this.#bracketCharacter(at);
    if (!this.#isRange()) return (code) => code === first;
    this.#at += 1;
    const last = this.#bracketCharacter(at);
    if (last < first) this.#fail("a range ends before it begins", at);
    return (code) => code >= first && code <= last;
  }

  /** Whether the next character is a `-` that does not end the bracket. */
  #isRange(): boolean {
    return this.#next() === "-" && this.#text[this.#at + 1] !== "]";
  }

  #bracketCharacter(at: number): number {
    const rest = this.#text.slice(this.#at, this.#at + 5);
    const named = /^\[([.=])(.)\1\]/s.exec(rest);
    if (named === null && /^\[[.=:]/.test(rest)) this.#fail(`${rest} is not known here`);
    const character = named === null ? this.#next() : (named[2] ?? "");
    if (character === "") this.#fail("[ is not closed", at);
    this.#at += named === null ? 1 : named[0].length;
    return character.charCodeAt(0);
  }
}

function literal(character: string): Node {
  const wanted = character.charCodeAt(0);
  return { kind: "one", test: (code) => code === wanted };
}

/** A step of the machine; `next` and `other` are steps, the last one is the end. */
interface Step {
  readonly kind: "one" | "start" | "end" | "fork";
  readonly test: Test | null;
  readonly next: number;
  readonly other: number;
}

/** Writes the steps from the last to the first, so that each knows its successor. */
class Writer {
  readonly steps: (Step | null)[] = [];

  #put(step: Step | null): number {
    if (this.steps.length >= STEPS_MAX) throw new EreError("its bounds make it too large", 0);
    return this.steps.push(step) - 1;
  }

  done(): number {
    return this.#put(null);
  }

  /** The first step of `node`; `next` comes after it. */
  write(node: Node, next: number): number {
    switch (node.kind) {
      case "one":
        return this.#put({ kind: "one", test: node.test, next, other: next });
      case "start":
      case "end":
        return this.#put({ kind: node.kind, test: null, next, other: next });
      case "sequence":
        return node.of.reduceRight((after, part) => this.write(part, after), next);
      case "alternatives":
        return node.of
          .map((part) => this.write(part, next))
          .reduceRight((other, first) => this.#put({ kind: "fork", test: null, next: first, other }));
      case "repeat":
        return this.#repeat(node, next);
    }
  }

  #repeat({ of, min, max }: Node & { kind: "repeat" }, next: number): number {
    let first = next;
    if (max === null) {
      // A loop: the fork is created before what it leads to.
      first = this.#put(null);
      const inner = this.write(of, first);
      this.steps[first] = { kind: "fork", test: null, next: inner, other: next };
    } else {
      for (let index = min; index < max; index += 1) {
        first = this.#put({ kind: "fork", test: null, next: this.write(of, first), other: next });
      }
    }
    for (let index = 0; index < min; index += 1) first = this.write(of, first);
    return first;
  }
}

/** A compiled expression. */
export interface Ere {
  /** Whether it matches anywhere in the text. */
  matches(text: string): boolean;
}

/** @throws EreError when it is invalid, or of a kind that is not supported */
export function compileEre(expression: string): Ere {
  if (expression.length > EXPRESSION_MAX) throw new EreError(`it has more than ${EXPRESSION_MAX} characters`, 0);
  const writer = new Writer();
  const done = writer.done();
  const first = writer.write(new Reader(expression).whole(), done);
  const { steps } = writer;
  return { matches: (text) => runSteps(steps, first, done, text) };
}

function runSteps(steps: readonly (Step | null)[], first: number, done: number, text: string): boolean {
  let now: number[] = [];
  for (let at = 0; at <= text.length; at += 1) {
    const isHere = new Uint8Array(steps.length);
    const open = [...now, first];
    const waiting: Step[] = [];
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      if (isHere[index] === 1) continue;
      isHere[index] = 1;
      const step = steps[index];
      if (index === done || step === null || step === undefined) return true;
      if (step.kind === "one") waiting.push(step);
      else if (step.kind === "fork") open.push(step.next, step.other);
      else if (step.kind === "start" ? at === 0 : at === text.length) open.push(step.next);
    }
    const code = text.charCodeAt(at);
    now = at === text.length ? [] : waiting.filter((step) => step.test?.(code) === true).map((step) => step.next);
  }
  return false;
}
