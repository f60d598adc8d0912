// Where execution can go in the core: a place for each statement, and for each way a condition can turn out. A core of its own
// build notes which it has reached.

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { RUNTIME_FILE, compile, modules } from "./compile.ts";
import { importOf, runtimeSource } from "./runtime.ts";
import { cellNames, markTables, tableRows } from "./tables.ts";
import { child, functionName, isA, isAssertion, lineAt, parse, part, rewrite, type SyntaxNode } from "./syntax.ts";

const root = join(import.meta.dirname, "..", "..");

/** A statement, or one outcome of a condition. */
export interface Place {
  readonly file: string;
  /** The function it is in. */
  readonly where: string;
  readonly line: number;
  readonly kind: "statement" | "true" | "false";
  /** The statement or the condition. */
  readonly text: string;
  /** What runs only when this place was reached. */
  readonly guards: { readonly start: number; readonly end: number } | null;
}

/** Sources with marks, and what each mark stands for, by its number. */
export interface Marked {
  readonly sources: ReadonlyMap<string, string>;
  readonly places: readonly Place[];
  /** Behind the places: a mark for each row of the table of outcomes, and for each cell of what paths went through. */
  readonly rows: readonly string[];
  readonly cells: readonly string[];
}

/** The files that are no code: constants alone. */
const isCode = (file: string): boolean => !file.endsWith("/abi.ts");

export const coreFiles = (): string[] => globSync("assembly/**/*.ts", { cwd: root }).filter(isCode).toSorted();

const oneLine = (text: string): string => text.replace(/\s+/g, " ").replace(/^(.{100}).+$/, "$1...");

class Marker {
  readonly #file: string;
  readonly #text: string;
  readonly #places: Place[];
  /** The function that each node is in. */
  readonly #functions = new Map<SyntaxNode, string>();

  constructor(file: string, text: string, places: Place[]) {
    this.#file = file;
    this.#text = text;
    this.#places = places;
  }

  write(): string {
    const source = parse(this.#file, this.#text);
    this.#spread(source, null);
    const body = rewrite(source, this.#text, (node, parent, own) => this.#mark(node, parent, own));
    return importOf(this.#file) + body;
  }

  /** Notes which function each node is in. */
  #spread(node: SyntaxNode, where: string | null): void {
    const name = functionName(node, this.#text) ?? (isA(node, "Constructor") ? "constructor" : where);
    if (name !== null) this.#functions.set(node, name);
    if (isAssertion(node, this.#text)) return;
    for (const key of Object.keys(node)) {
      if (key === "range") continue;
      const value = part(node, key);
      for (const one of Array.isArray(value) ? value : [value]) {
        if (typeof one === "object" && one !== null && "kind" in one && "range" in one) {
          this.#spread(one as SyntaxNode, name);
        }
      }
    }
  }

  #place(node: SyntaxNode, kind: Place["kind"], guards: SyntaxNode | null): number {
    const { start, end } = node.range;
    const where = this.#functions.get(node) ?? "";
    const text = oneLine(this.#text.slice(start, end));
    const line = lineAt(this.#text, start);
    const inside = guards === null ? null : { start: guards.range.start, end: guards.range.end };
    return this.#places.push({ file: this.#file, where, line, kind, text, guards: inside }) - 1;
  }

  #mark(node: SyntaxNode, parent: SyntaxNode, own: string): string {
    if (!this.#functions.has(node)) return own;
    const outcome = this.#outcomes(node, parent);
    const made =
      outcome === null
        ? own
        : `((${own}) ? __yes(${this.#place(node, "true", outcome.yes)}) : __no(${this.#place(node, "false", outcome.no)}))`;
    const inBlock = isA(parent, "Block");
    const isBody =
      (isA(parent, "If") && (child(parent, "ifTrue") === node || child(parent, "ifFalse") === node)) ||
      (isA(parent, "For", "While", "Do") && child(parent, "body") === node);
    if (isA(node, "Block", "Empty") || (!inBlock && !isBody)) return made;
    const marked = `__hit(${this.#place(node, "statement", node)}); ${made}`;
    // Its own semicolon follows, unless it was one of those that bring it along.
    return isBody ? `{ ${marked} }` : marked;
  }

  /** What `node` decides about, when it is a condition. */
  #outcomes(node: SyntaxNode, parent: SyntaxNode): { yes: SyntaxNode | null; no: SyntaxNode | null } | null {
    // The compiler knows by this condition itself that a reference is none that is null: it stays bare.
    if (/[!=]== null\b/.test(this.#text.slice(node.range.start, node.range.end))) return null;
    const is = (name: string): boolean => child(parent, name) === node;
    if (isA(parent, "If") && is("condition")) return { yes: child(parent, "ifTrue"), no: child(parent, "ifFalse") };
    if (isA(parent, "Ternary") && is("condition")) return { yes: child(parent, "ifThen"), no: child(parent, "ifElse") };
    if (isA(parent, "For", "While") && is("condition")) return { yes: child(parent, "body"), no: null };
    if (isA(parent, "Do") && is("condition")) return { yes: null, no: null };
    if (!isA(parent, "Binary") || !is("left")) return null;
    const right = child(parent, "right");
    if (right === null) return null;
    const between = this.#text.slice(node.range.end, right.range.start).trim();
    if (between.startsWith("&&")) return { yes: right, no: null };
    return between.startsWith("||") ? { yes: null, no: right } : null;
  }
}

/** Marks one source. */
export function markText(file: string, text: string): { readonly text: string; readonly places: readonly Place[] } {
  const places: Place[] = [];
  return { text: new Marker(file, text, places).write(), places };
}

/** Marks every file of the core. */
export function markSources(): Marked {
  const places: Place[] = [];
  const sources = new Map<string, string>();
  for (const file of coreFiles()) {
    sources.set(file, new Marker(file, readFileSync(join(root, file), "utf8"), places).write());
  }
  const rows = tableRows(sources);
  markTables(sources, places.length, rows.length);
  return { sources, places, rows, cells: cellNames };
}

/** How many marks there are in all. */
export const markCount = ({ places, rows, cells }: Marked): number => places.length + rows.length + cells.length;

/**
 * Compiles what was marked; returns the modules by the files they stand for.
 * @param runtime what is done at the marks
 * @param only the module to compile, of all
 */
export async function compileMarked(
  marked: Marked,
  runtime: (places: number) => string = runtimeSource,
  only?: string,
): Promise<Map<string, Uint8Array>> {
  const changed = new Map(marked.sources);
  changed.set(RUNTIME_FILE, runtime(markCount(marked)));
  const compiled = new Map<string, Uint8Array>();
  for (const module of modules.filter(({ built }) => only === undefined || built === only)) {
    const { wasm, complaints } = await compile(module, changed, 1);
    if (wasm === null) {
      const where = complaints.map(({ file, message, start }) => {
        return `${file}: ${message}: ${(changed.get(file) ?? "").slice(start, start + 80)}`;
      });
      throw new Error(where.join("\n"));
    }
    compiled.set(module.built, wasm);
  }
  return compiled;
}
