// The core with counters at its branches: the built module as text, with a call at each arm, loop and conditional branch,
// made a module again. That takes seconds, so what was made is kept in build/fuzz until the core is another one.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Build } from "../unit/core/fixtures/harness.ts";
import { probe } from "./probe.ts";

const BUILD = join(import.meta.dirname, "..", "..", "build");
const CORE = join(BUILD, "core.wasm");
const KEPT = join(BUILD, "fuzz");

type Form = string | Form[];

/** S-expressions; texts keep their quotes. */
function read(text: string): Form[] {
  const stack: Form[][] = [[]];
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[()]|[^\s()"]+/g)) {
    if (token === "(") stack.push([]);
    else if (token === ")") {
      const done = stack.pop();
      if (done !== undefined) stack.at(-1)?.push(done);
    } else stack.at(-1)?.push(token);
  }
  return stack[0] ?? [];
}

const HEADS = new Set(["param", "result", "local", "type", "export"]);

/** The number of the next branch within the core. */
let sites = 0;
const newSite = (): Form[] => ["i32.const", String(sites++)];

const hit = (): Form[] => ["call", "$fuzz_hit", newSite()];

/** Where the instructions of a form begin: behind its name and what declares something. */
function bodyAt(form: readonly Form[]): number {
  const at = form.findIndex((one, i) => i > 0 && Array.isArray(one) && !HEADS.has(String(one[0])));
  return at === -1 ? form.length : at;
}

function instrument(form: Form): Form {
  if (!Array.isArray(form)) return form;
  const inner = form.map(instrument);
  const [head] = form;
  if (head === "then" || head === "else" || head === "loop" || (head === "func" && bodyAt(form) < form.length)) {
    const at = bodyAt(form);
    return [...inner.slice(0, at), hit(), ...inner.slice(at)];
  }
  // One that is taken and one that is not are told apart by whether the next site is reached.
  if (head === "br_if") {
    const condition = inner.at(-1) ?? "";
    return [...inner.slice(0, -1), ["call", "$fuzz_taken", condition, newSite()]];
  }
  return inner;
}

const write = (form: Form): string => (Array.isArray(form) ? `(${form.map(write).join(" ")})` : form);

interface Made {
  readonly bytes: Uint8Array;
  /** How many branches it has. */
  readonly sites: number;
}

async function make(core: Uint8Array): Promise<Made> {
  const { default: binaryen } = await import("binaryen");
  const plain = binaryen.readBinary(core);
  const [whole] = read(plain.emitText());
  plain.dispose();
  if (!Array.isArray(whole)) throw new Error("the core has no text");
  sites = 0;
  const forms = whole.map(instrument);
  const imports = read(`
    (import "env" "fuzzHit" (func $fuzz_hit (param i32)))
    (import "env" "fuzzTaken" (func $fuzz_taken (param i32 i32) (result i32)))`);
  const first = forms.findIndex((form) => Array.isArray(form) && form[0] === "import");
  const module = binaryen.parseText(write([...forms.slice(0, first), ...imports, ...forms.slice(first)]));
  module.setFeatures(binaryen.Features.All);
  const bytes = Uint8Array.from(module.emitBinary());
  module.dispose();
  return { bytes, sites };
}

/** The instrumented core, made or kept; its branches are numbered from 0. */
async function instrumented(): Promise<Made> {
  const core = readFileSync(CORE);
  const key = createHash("sha1")
    .update(core)
    .update(readFileSync(import.meta.filename))
    .digest("hex");
  const file = join(KEPT, `${key}.wasm`);
  const count = `${file}.sites`;
  if (existsSync(count)) return { bytes: readFileSync(file), sites: Number(readFileSync(count, "utf8")) };
  const made = await make(core);
  mkdirSync(KEPT, { recursive: true });
  // Whoever sees the second file sees the first one whole.
  for (const [name, content] of [
    [file, made.bytes],
    [count, String(made.sites)],
  ] as const) {
    writeFileSync(`${name}.${process.pid}`, content);
    renameSync(`${name}.${process.pid}`, name);
  }
  return made;
}

/** The instrumented core, and what it imports. Its branches come behind those that there are already. */
export async function instrumentedCore(): Promise<Build> {
  const { bytes, sites: count } = await instrumented();
  const first = probe.newSites(count);
  return {
    module: new WebAssembly.Module(Uint8Array.from(bytes)),
    imports: {
      fuzzHit: (site) => probe.step(first + site),
      fuzzTaken: (condition, site) => {
        if (condition !== 0) probe.hit(first + site);
        return condition;
      },
    },
  };
}
