// What can go wrong when somebody writes the core, as edits of its source: each mutant is one small mistake a programmer
// could make. Read from the syntax tree of the compiler's own parser, so that every mutant is a program.

import {
  child,
  children,
  functionName,
  isA,
  isAssertion,
  isNode,
  lineAt,
  parse,
  part,
  type SyntaxNode,
} from "../instrument/syntax.ts";
import { shapeOf } from "./shape.ts";

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
  /** What it is called, whatever changes elsewhere: function, operator and text, and which of those alike in the file. */
  readonly identity: string;
  /** What its function looks like: a verdict holds for this one only. */
  readonly shape: string;
}

type Edit = Pick<Mutant, "operator" | "to" | "start" | "end">;

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

/** Casts that are a size too small. Wider ones are left out: what such a value is put into cuts it off all the same. */
const NARROW: Readonly<Record<string, string>> = {
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

/** `<u16>x`: what it makes keeps its type, and loses half of its bits. */
function ofCast(node: SyntaxNode, text: string): Edit[] {
  const type = child(node, "toType");
  if (type === null || text[node.range.start] !== "<") return [];
  const { start, end } = type.range;
  const own = text.slice(start, end);
  const other = NARROW[own];
  return other === undefined ? [] : [{ operator: "narrow cast", start, end, to: `${own}><${other}` }];
}

/** A call or an assignment that stands on its own. */
function ofStatement(node: SyntaxNode): Edit[] {
  const { start, end } = node.range;
  const expression = child(node, "expression");
  if (expression === null) return [];
  return [{ operator: isA(expression, "Binary") ? "skip assignment" : "drop statement", start, end, to: "" }];
}

function ofSign(node: SyntaxNode, text: string): Edit[] {
  const { start, end } = node.range;
  const found = signOf(node, text);
  const other = found === null ? undefined : SWAPPED[found.sign];
  if (found === null || other === undefined) return [];
  const to = `(${text.slice(start, found.start)}${other}${text.slice(found.start + found.sign.length, end)})`;
  return [{ operator: `${found.sign} to ${other}`, start, end, to }];
}

function editsOf(node: SyntaxNode, text: string): Edit[] {
  const { start, end } = node.range;
  if (isA(node, "If", "While", "Ternary")) return negated(child(node, "condition"), text);
  if (isA(node, "Expression")) return ofStatement(node);
  if (isA(node, "Binary")) return ofSign(node, text);
  if (isA(node, "Call")) return ofCall(node, text);
  if (isA(node, "Literal")) return ofLiteral(node, text);
  if (isA(node, "Assertion")) return ofCast(node, text);
  if (isA(node, "True")) return [{ operator: "other truth", start, end, to: "false" }];
  if (isA(node, "False")) return [{ operator: "other truth", start, end, to: "true" }];
  return isA(node, "Break", "Continue") ? [{ operator: "drop statement", start, end, to: "" }] : [];
}

/** The function that is being looked at. */
type Within = Pick<Mutant, "where" | "shape">;

/** Every mutant of one source. */
export function mutantsOf(file: string, text: string): Mutant[] {
  const mutants: Mutant[] = [];
  const counts = new Map<string, number>();
  const walk = (node: SyntaxNode, within: Within | null): void => {
    if (isAssertion(node, text)) return;
    const name = functionName(node, text);
    if (name === null && within !== null) {
      const { where, shape } = within;
      for (const edit of editsOf(node, text)) {
        const from = text.slice(edit.start, edit.end);
        if (from === edit.to) continue;
        const said = `${where} ${edit.operator}: ${shapeOf(from)}`;
        const count = (counts.get(said) ?? 0) + 1;
        counts.set(said, count);
        const line = lineAt(text, edit.start);
        mutants.push({ file, where, line, from, identity: `${said} ${count}`, shape, ...edit });
      }
    }
    const { start, end } = node.range;
    const inside = name === null ? within : { where: name, shape: shapeOf(text.slice(start, end)) };
    for (const one of children(node)) walk(one, inside);
  };
  walk(parse(file, text), null);
  return mutants;
}

/** The source with the mistake in it. */
export function mutated(text: string, { start, end, to, from }: Mutant): string {
  if (text.slice(start, end) !== from) throw new Error(`"${from}" does not stand where the mutant was found`);
  return text.slice(0, start) + to + text.slice(end);
}
