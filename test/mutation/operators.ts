// What can go wrong when somebody writes the core, as edits of its source: each mutant is one small mistake a programmer
// could make. Read from the syntax tree of the compiler's own parser, so that every mutant is a program.

import * as compiler from "assemblyscript";

/** One mistake. */
export interface Mutant {
  /** Below assembly/. */
  readonly file: string;
  /** The function it is in. */
  readonly where: string;
  readonly line: number;
  readonly operator: string;
  /** What stands there, and what takes its place. */
  readonly from: string;
  readonly to: string;
  readonly start: number;
  readonly end: number;
}

/** The parts of the parser's nodes that are read here; its own types are not exported. */
interface SyntaxNode {
  readonly kind: number;
  readonly range: { readonly start: number; readonly end: number };
}

type Edit = Pick<Mutant, "operator" | "to" | "start" | "end">;

const { NodeKind } = compiler as unknown as { readonly NodeKind: Readonly<Record<string, number>> };

const isNode = (value: unknown): value is SyntaxNode =>
  typeof value === "object" && value !== null && "kind" in value && "range" in value;

/** A child of a node, by the name the parser gives it. */
const part = (node: SyntaxNode, name: string): unknown => Reflect.get(node, name);

function child(node: SyntaxNode, name: string): SyntaxNode | null {
  const value = part(node, name);
  return isNode(value) ? value : null;
}

function children(node: SyntaxNode): SyntaxNode[] {
  return Object.keys(node)
    .filter((name) => name !== "range")
    .flatMap((name) => {
      const value = part(node, name);
      return Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : [];
    });
}

/** Signs that are mistaken for each other. */
const SWAPPED: Readonly<Record<string, string>> = {
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "==": "!=",
  "!=": "==",
  "===": "!==",
  "!==": "===",
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
  "&": "|",
  "|": "&",
  "&&": "||",
  "||": "&&",
  "<<": ">>",
  ">>": "<<",
  ">>>": "<<",
  "+=": "-=",
  "-=": "+=",
  "|=": "&=",
  "&=": "|=",
};

/** Casts that are a size too small or too large. */
const CAST: Readonly<Record<string, string>> = {
  u8: "u16",
  u16: "u8",
  u32: "u16",
  i32: "i16",
  u64: "u32",
  i64: "i32",
  usize: "u16",
};

/** The sign between two operands, with its place. */
function signOf(node: SyntaxNode, text: string): { sign: string; start: number } | null {
  const left = child(node, "left");
  const right = child(node, "right");
  if (left === null || right === null) return null;
  const between = text.slice(left.range.end, right.range.start);
  const found = /[<>=!+\-*/&|^%]+/.exec(between);
  return found === null ? null : { sign: found[0], start: left.range.end + found.index };
}

function negated(condition: SyntaxNode | null, text: string): Edit[] {
  if (condition === null) return [];
  const { start, end } = condition.range;
  return [{ operator: "negate condition", start, end, to: `!(${text.slice(start, end)})` }];
}

/** Of these the order does not matter. */
const COMMUTATIVE = /^(min|max|i\d+x\d+\.(min|max|add|eq|and|or)\w*)\b/;

function ofCall(node: SyntaxNode, text: string): Edit[] {
  const operands = part(node, "args");
  if (COMMUTATIVE.test(text.slice(node.range.start, node.range.end))) return [];
  if (!Array.isArray(operands) || operands.length < 2) return [];
  const [first, second] = operands.filter(isNode);
  if (first === undefined || second === undefined) return [];
  const [a, b] = [first, second].map(({ range }) => text.slice(range.start, range.end));
  if (a === b) return [];
  const between = text.slice(first.range.end, second.range.start);
  return [{ operator: "swap arguments", start: first.range.start, end: second.range.end, to: `${b}${between}${a}` }];
}

function ofLiteral(node: SyntaxNode, text: string): Edit[] {
  const { start, end } = node.range;
  const source = text.slice(start, end);
  if (!/^(\d+|0x[\da-f]+)$/i.test(source)) return [];
  return [{ operator: "off by one", start, end, to: String(Number(source) + 1) }];
}

/** `<u16>x` and `x as u16`. */
function ofCast(node: SyntaxNode, text: string): Edit[] {
  const type = child(node, "toType");
  if (type === null) return [];
  const { start, end } = type.range;
  const other = CAST[text.slice(start, end)];
  return other === undefined ? [] : [{ operator: "change cast", start, end, to: other }];
}

/** A call or an assignment that stands on its own. */
function ofStatement(node: SyntaxNode, text: string): Edit[] {
  const { start, end } = node.range;
  const expression = child(node, "expression");
  if (expression === null) return [];
  const isAssignment = expression.kind === NodeKind["Binary"];
  return [
    { operator: isAssignment ? "skip assignment" : "drop statement", start, end, to: text[end - 1] === ";" ? ";" : "" },
  ];
}

function editsOf(node: SyntaxNode, text: string): Edit[] {
  const { start, end } = node.range;
  switch (node.kind) {
    case NodeKind["If"]:
    case NodeKind["While"]:
    case NodeKind["Ternary"]:
      return negated(child(node, "condition"), text);
    case NodeKind["Expression"]:
      return ofStatement(node, text);
    case NodeKind["Binary"]: {
      const found = signOf(node, text);
      const to = found === null ? undefined : SWAPPED[found.sign];
      if (found === null || to === undefined) return [];
      return [{ operator: `${found.sign} to ${to}`, start: found.start, end: found.start + found.sign.length, to }];
    }
    case NodeKind["Call"]:
      return ofCall(node, text);
    case NodeKind["Literal"]:
      return ofLiteral(node, text);
    case NodeKind["Assertion"]:
      return ofCast(node, text);
    case NodeKind["True"]:
      return [{ operator: "other truth", start, end, to: "false" }];
    case NodeKind["False"]:
      return [{ operator: "other truth", start, end, to: "true" }];
    case NodeKind["Break"]:
    case NodeKind["Continue"]:
      return [{ operator: "drop statement", start, end, to: ";" }];
    default:
      return [];
  }
}

/** An assertion changes nothing that a correct core does: without it, or with another in its place, nothing can be seen. */
function isAssertion(node: SyntaxNode, text: string): boolean {
  const call = node.kind === NodeKind["Expression"] ? child(node, "expression") : node;
  if (call === null || call.kind !== NodeKind["Call"]) return false;
  return /^assert\b/.test(text.slice(call.range.start, call.range.end));
}

/** Every mutant of one source. */
export function mutantsOf(file: string, text: string): Mutant[] {
  const options = compiler.newOptions();
  const program = compiler.newProgram(options);
  compiler.parse(program, text, file, true);
  const { sources } = program as unknown as { readonly sources: readonly (SyntaxNode & { text: string })[] };
  const source = sources.find((one) => one.text === text);
  if (source === undefined) throw new Error(`${file} was not parsed`);
  const mutants: Mutant[] = [];
  const walk = (node: SyntaxNode, where: string | null): void => {
    if (isAssertion(node, text)) return;
    let inside = where;
    if (node.kind === NodeKind["FunctionDeclaration"] || node.kind === NodeKind["MethodDeclaration"]) {
      const name = child(node, "name");
      inside = name === null ? "?" : text.slice(name.range.start, name.range.end);
    } else if (inside !== null) {
      for (const edit of editsOf(node, text)) {
        const from = text.slice(edit.start, edit.end);
        const line = text.slice(0, edit.start).split("\n").length;
        if (from !== edit.to) mutants.push({ file, where: inside, line, from, ...edit });
      }
    }
    for (const one of children(node)) walk(one, inside);
  };
  walk(source, null);
  return mutants;
}

/** The source with the mistake in it. */
export function mutated(text: string, { start, end, to, from }: Mutant): string {
  if (text.slice(start, end) !== from) throw new Error(`"${from}" does not stand where the mutant was found`);
  return text.slice(0, start) + to + text.slice(end);
}
