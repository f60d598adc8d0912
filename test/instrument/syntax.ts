// The syntax tree of a source of the core, as the compiler's own parser reads it, and a way to write the source anew with
// changes at some of its nodes.

import * as compiler from "assemblyscript";

/** The parts of the parser's nodes that are read here; its own types are not exported. */
export interface SyntaxNode {
  readonly kind: number;
  readonly range: { readonly start: number; readonly end: number };
}

const { NodeKind } = compiler as unknown as { readonly NodeKind: Readonly<Record<string, number>> };

export const isNode = (value: unknown): value is SyntaxNode =>
  typeof value === "object" && value !== null && "kind" in value && "range" in value;

/** Whether a node is of one of these kinds, by the parser's names. */
export const isA = (node: SyntaxNode, ...kinds: readonly string[]): boolean =>
  kinds.some((kind) => NodeKind[kind] === node.kind);

/** A part of a node, by the name the parser gives it. */
export const part = (node: SyntaxNode, name: string): unknown => Reflect.get(node, name);

export function child(node: SyntaxNode, name: string): SyntaxNode | null {
  const value = part(node, name);
  return isNode(value) ? value : null;
}

/** What a node is made of, in the order of the text. */
export function children(node: SyntaxNode): SyntaxNode[] {
  return Object.keys(node)
    .filter((name) => name !== "range")
    .flatMap((name) => {
      const value = part(node, name);
      return Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : [];
    })
    .toSorted((a, b) => a.range.start - b.range.start);
}

/** Reads a source. */
export function parse(file: string, text: string): SyntaxNode {
  const program = compiler.newProgram(compiler.newOptions());
  compiler.parse(program, text, file, true);
  const { sources } = program as unknown as { readonly sources: readonly (SyntaxNode & { text: string })[] };
  const source = sources.find((one) => one.text === text);
  if (source === undefined) throw new Error(`${file} was not parsed`);
  return source;
}

export const lineAt = (text: string, offset: number): number => text.slice(0, offset).split("\n").length;

/** The name of a function or method; null for any other node. */
export function functionName(node: SyntaxNode, text: string): string | null {
  if (!isA(node, "FunctionDeclaration", "MethodDeclaration")) return null;
  const name = child(node, "name");
  return name === null ? "?" : text.slice(name.range.start, name.range.end);
}

/** An assertion changes nothing that a correct core does: without it, or with another in its place, nothing can be seen. */
export function isAssertion(node: SyntaxNode, text: string): boolean {
  const call = isA(node, "Expression") ? child(node, "expression") : node;
  if (call === null || !isA(call, "Call")) return false;
  return /^assert\b/.test(text.slice(call.range.start, call.range.end));
}

/** Statements that stand for themselves: one of them can become a block. */
const STATEMENTS = ["Expression", "Return", "If", "While", "For", "Do", "Break", "Continue"] as const;

/** Whether `node` is a statement in a block, or the body of one; the head of a `for` is neither. */
export function isStatement(node: SyntaxNode, parent: SyntaxNode): boolean {
  if (!isA(node, ...STATEMENTS)) return false;
  return !isA(parent, "For") || child(parent, "body") === node;
}

/** What takes the place of a node: `own` is its text with what its parts have become; a statement's has its semicolon. */
export type Change = (node: SyntaxNode, parent: SyntaxNode, own: string) => string;

/** Writes a source anew. Parts come before the whole. */
export function rewrite(source: SyntaxNode, text: string, change: Change): string {
  const print = (node: SyntaxNode): string => {
    let own = "";
    let at = node.range.start;
    for (const one of children(node)) {
      const { start, end } = one.range;
      if (start < at || end > node.range.end) continue;
      own += text.slice(at, start);
      const semicolon = isStatement(one, node) && text[end] === ";" ? ";" : "";
      own += change(one, node, print(one) + semicolon);
      at = end + semicolon.length;
    }
    return own + text.slice(at, node.range.end);
  };
  return print(source);
}
