// What the core exports, read from assembly/index.ts: names, types, and the comment above each. The C view of the ABI
// makes prototypes from it, and the embedding kit the functions behind them.

import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");

export interface CoreExport {
  readonly name: string;
  readonly parameters: readonly { readonly name: string; readonly type: string }[];
  readonly answer: string;
  /** The lines of its comment. */
  readonly comment: readonly string[];
}

const C_TYPES: Readonly<Record<string, string>> = {
  u32: "uint32_t",
  i32: "int32_t",
  u64: "uint64_t",
  i64: "int64_t",
  void: "void",
};

/** A type of the core in C. Throws for one that must not cross the border. */
export function cType(type: string): string {
  const found = C_TYPES[type];
  if (found === undefined) throw new Error(`assembly/index.ts: ${type} cannot cross the border of the core`);
  return found;
}

/** `unitSet` is `unit_set` in C. */
export function cName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

const DECLARATION =
  /\/\*\*((?:[^*]|\*(?!\/))*)\*\/\nexport function (\w+)\(([^)]*)\): (\w+) \{|export \{ (\w+) \} from "\.\/(\w+)";/g;

function declared(text: string, wanted: string | null): CoreExport[] {
  const found: CoreExport[] = [];
  for (const [, comment = "", name = "", parameters = "", answer = "", other, file] of text.matchAll(DECLARATION)) {
    if (other !== undefined && file !== undefined) {
      if (wanted !== null) continue;
      const [one] = declared(readFileSync(join(root, "assembly", `${file}.ts`), "utf8"), other);
      if (one === undefined) throw new Error(`assembly/${file}.ts: ${other} has no comment`);
      found.push(one);
    } else if (wanted === null || wanted === name) {
      found.push({
        name,
        answer,
        comment: comment
          .split("\n")
          .map((line) => line.replace(/^\s*\*? ?/, "").trimEnd())
          .filter((line) => line !== ""),
        parameters: parameters
          .split(",")
          .map((one) => one.trim())
          .filter((one) => one !== "")
          .map((one) => {
            const [parameter = "", type = ""] = one.split(": ");
            return { name: cName(parameter), type };
          }),
      });
    }
  }
  return found;
}

/** The exports in the order of assembly/index.ts. Throws where one has no comment. */
export function readExports(): CoreExport[] {
  const text = readFileSync(join(root, "assembly", "index.ts"), "utf8");
  const found = declared(text, null);
  const names = [...text.matchAll(/^export (?:function (\w+)|\{ (\w+) \})/gm)].map(([, one, other]) => one ?? other);
  for (const name of names) {
    if (!found.some((one) => one.name === name)) throw new Error(`assembly/index.ts: ${name} has no comment`);
  }
  return found;
}

/** The prototype in C, without its semicolon. */
export function prototypeOf({ name, answer, parameters }: CoreExport): string {
  const all = ["struct pm_core *core", ...parameters.map((one) => `${cType(one.type)} ${one.name}`)];
  const start = `${cType(answer)} pm_core_${cName(name)}(`;
  const line = `${start}${all.join(", ")})`;
  return line.length <= 110 ? line : `${start}${all.join(`,\n${" ".repeat(start.length)}`)})`;
}
