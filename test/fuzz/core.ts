// The core with a counter at each statement, at each way a condition can turn out, and at each row of its tables: the places that
// `npm run coverage` notes (test/instrument), counted. It is compiled once and kept in build/fuzz until a source changes.

import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Build } from "../unit/core/fixtures/harness.ts";
import { type CountExports, countingSource } from "../instrument/runtime.ts";
import { outOfSteps, probe } from "./probe.ts";
import { check } from "./target.ts";

const root = join(import.meta.dirname, "..", "..");
const KEPT = join(root, "build", "fuzz");
const CORE = "build/core.wasm";
/** What decides about the module. */
const INPUTS = ["assembly/**/*.ts", "test/instrument/*.ts"];

interface Made {
  readonly bytes: Uint8Array;
  /** How many places it has. */
  readonly places: number;
}

async function make(): Promise<Made> {
  const { compileMarked, markCount, markSources } = await import("../instrument/places.ts");
  const marked = markSources();
  const bytes = (await compileMarked(marked, countingSource, CORE)).get(CORE);
  if (bytes === undefined) throw new Error("nothing was compiled");
  return { bytes, places: markCount(marked) };
}

/** The counting core, made or kept. */
async function countingCore(): Promise<Made> {
  const key = createHash("sha1");
  for (const file of globSync(INPUTS, { cwd: root }).toSorted())
    key.update(file).update(readFileSync(join(root, file)));
  const file = join(KEPT, `${key.digest("hex")}.wasm`);
  const count = `${file}.places`;
  if (existsSync(count)) return { bytes: readFileSync(file), places: Number(readFileSync(count, "utf8")) };
  const made = await make();
  mkdirSync(KEPT, { recursive: true });
  // Whoever sees the second file sees the first one whole.
  for (const [name, content] of [
    [file, made.bytes],
    [count, String(made.places)],
  ] as const) {
    writeFileSync(`${name}.${process.pid}`, content);
    renameSync(`${name}.${process.pid}`, name);
  }
  return made;
}

/** The counting core, and what it imports. The probe reads and clears the counters of each instance. */
export async function instrumentedCore(): Promise<Build> {
  const { bytes, places } = await countingCore();
  return {
    module: new WebAssembly.Module(Uint8Array.from(bytes)),
    imports: { outOfSteps },
    made: (exports) => {
      const core = exports as CountExports;
      probe.addCounters({
        count: places,
        read: () => new Uint8Array(core.memory.buffer, core.placesAt(), places),
        reset: () => core.refuel(),
      });
    },
  };
}

/** Between two inputs the core holds nothing. */
export function nothingLost(
  { inspect }: { inspect(what: number): number },
  limits: { readonly requests: number; readonly commands: number; readonly pool: number },
): void {
  check(inspect(0) === limits.requests, () => `${limits.requests - inspect(0)} request slots are lost`);
  check(inspect(1) === limits.commands, () => `${limits.commands - inspect(1)} command slots are lost`);
  check(inspect(2) === limits.pool, () => `${limits.pool - inspect(2)} bytes of the pool are lost`);
}
