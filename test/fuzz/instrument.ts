// Gives TypeScript modules counters as they are loaded: types are stripped, the rest is parsed, and each branch gets a call
// of the probe. Positions of lines stay, so that a stack trace tells the truth.

import { readFileSync } from "node:fs";
import { registerHooks, stripTypeScriptTypes } from "node:module";
import { fileURLToPath } from "node:url";
import { type Node, parse } from "acorn";
import { probe } from "./probe.ts";

declare global {
  var fuzzProbe: typeof probe | undefined;
}

interface Insertion {
  readonly at: number;
  readonly text: string;
  /** What closes comes before what opens at the same place. */
  readonly closes: boolean;
}

/** Words that stand in the instrumented code: what somebody compares an input with. */
export const words = new Set<string>();
const WORD_BYTES_MAX = 40;

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";

class Instrumenter {
  readonly #opens: Insertion[] = [];
  readonly #closes: Insertion[] = [];

  /** Statements get their counter inside; what is no block becomes one. */
  #statement(node: unknown, call: "hit" | "step"): void {
    if (!isNode(node)) return;
    const text = `fuzzProbe.${call}(${probe.newSite()});`;
    if (node.type === "BlockStatement") this.#opens.push({ at: node.start + 1, text, closes: false });
    else this.#wrap(node, `{${text}`, "}");
  }

  #expression(node: unknown, call: "hit" | "step"): void {
    if (isNode(node)) this.#wrap(node, `(fuzzProbe.${call}(${probe.newSite()}), `, ")");
  }

  #wrap(node: Node, before: string, after: string): void {
    this.#opens.push({ at: node.start, text: before, closes: false });
    this.#closes.push({ at: node.end, text: after, closes: true });
  }

  /** Outer nodes open first, inner ones close first. */
  visit(node: Node): void {
    const closesBefore = this.#closes.length;
    this.#enter(node, Object(node) as Record<string, unknown>);
    const own = this.#closes.splice(closesBefore);
    for (const value of Object.values(node)) {
      if (Array.isArray(value)) for (const one of value.filter(isNode)) this.visit(one);
      else if (isNode(value)) this.visit(value);
    }
    this.#closes.push(...own);
  }

  #enter(node: Node, fields: Record<string, unknown>): void {
    switch (node.type) {
      case "FunctionDeclaration":
      case "FunctionExpression":
        return this.#statement(fields["body"], "step");
      case "ArrowFunctionExpression":
        if (fields["expression"] === true) return this.#expression(fields["body"], "step");
        return this.#statement(fields["body"], "step");
      case "IfStatement":
        this.#statement(fields["consequent"], "hit");
        return this.#statement(fields["alternate"], "hit");
      case "ForStatement":
      case "ForInStatement":
      case "ForOfStatement":
      case "WhileStatement":
      case "DoWhileStatement":
        return this.#statement(fields["body"], "step");
      case "ConditionalExpression":
        this.#expression(fields["consequent"], "hit");
        return this.#expression(fields["alternate"], "hit");
      case "LogicalExpression":
        return this.#expression(fields["right"], "hit");
      case "SwitchCase": {
        const first = (fields["consequent"] as unknown[])[0];
        if (isNode(first))
          this.#opens.push({ at: first.start, text: `fuzzProbe.hit(${probe.newSite()});`, closes: false });
        return;
      }
      case "Literal": {
        const { value } = fields;
        if (typeof value === "string" && value.length > 0 && value.length <= WORD_BYTES_MAX) words.add(value);
        return;
      }
      default:
    }
  }

  apply(source: string): string {
    const all = [...this.#closes, ...this.#opens].toSorted(
      (a, b) => a.at - b.at || Number(b.closes) - Number(a.closes),
    );
    let text = "";
    let from = 0;
    for (const { at, text: inserted } of all) {
      text += source.slice(from, at) + inserted;
      from = at;
    }
    return text + source.slice(from);
  }
}

function instrumented(source: string, isTypeScript = true): string {
  const plain = isTypeScript ? stripTypeScriptTypes(source) : source;
  const instrumenter = new Instrumenter();
  instrumenter.visit(parse(plain, { ecmaVersion: "latest", sourceType: "module" }));
  return instrumenter.apply(plain);
}

/** From now on modules whose path `matches` are loaded with counters. */
export function instrumentModules(matches: (path: string) => boolean): void {
  globalThis.fuzzProbe = probe;
  registerHooks({
    load(url, context, next) {
      const path = url.startsWith("file:") ? fileURLToPath(url) : "";
      if (!/\.[jt]s$/.test(path) || !matches(path)) return next(url, context);
      const source = instrumented(readFileSync(path, "utf8"), path.endsWith(".ts"));
      return { format: "module", source, shortCircuit: true };
    },
  });
}
