// A process that runs unit tests and worlds, one after the other, against the modules it is told of.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { World } from "../simulation/world.ts";
import { failureOf, loadTests } from "./unit-tests.ts";
import { installStandIns, standIn } from "./stand-in.ts";
import type { InstrumentExports } from "./runtime.ts";

/** A unit test by its number, or a world by its seed. */
export type Piece = { readonly test: number } | { readonly seed: number };

export interface Task {
  /** What stands for the modules of build/; null: what did so in the last task. */
  readonly modules: ReadonlyMap<string, Uint8Array> | null;
  readonly mutant: number;
  readonly pieces: readonly Piece[];
  readonly stopAtFailure: boolean;
  /** How many places to note; 0: none are counted. */
  readonly places: number;
}

export interface PieceResult {
  readonly at: number;
  readonly ms: number;
  readonly failure: string | null;
  /** Of a world: all that it tells of itself. */
  readonly told: string;
  /** A byte for each place, 1 when it was reached. */
  readonly reached: Uint8Array;
}

/** What the process tells: the titles of its tests at its start, the result of each piece, and that a task has ended. */
export type Report =
  | { readonly kind: "ready"; readonly tests: readonly string[] }
  | { readonly kind: "piece"; readonly result: PieceResult }
  | { readonly kind: "end" };

/** Instances that are kept until what they have reached is noted: more than any test runs side by side. */
const LIVE_MAX = 8;

class Noter {
  readonly #places: number;
  readonly #live: InstrumentExports[] = [];
  #reached: Uint8Array;

  constructor(places: number) {
    this.#places = places;
    this.#reached = new Uint8Array(places);
  }

  add(exports: InstrumentExports): void {
    if (this.#places === 0) return;
    if (this.#live.push(exports) > LIVE_MAX) this.#note(this.#live.shift());
  }

  #note(exports: InstrumentExports | undefined): void {
    if (exports === undefined) return;
    const seen = new Uint8Array(exports.memory.buffer, exports.placesAt(), this.#places);
    for (let place = seen.indexOf(1); place >= 0; place = seen.indexOf(1, place + 1)) this.#reached[place] = 1;
  }

  take(): Uint8Array {
    for (const exports of this.#live.splice(0)) this.#note(exports);
    const reached = this.#reached;
    this.#reached = new Uint8Array(this.#places);
    return reached;
  }
}

const send = (report: Report): void => void process.send?.(report);

installStandIns();
const tests = await loadTests();
const core = new WebAssembly.Module(readFileSync(join(import.meta.dirname, "..", "..", "build", "core.wasm")));
async function run(piece: Piece): Promise<{ failure: string | null; told: string }> {
  if ("seed" in piece) {
    const result = new World(piece.seed, core).run();
    return { failure: result.violations[0] ?? null, told: JSON.stringify(result) };
  }
  const found = tests[piece.test];
  return { failure: found === undefined ? "there is no such test" : await failureOf(found.test), told: "" };
}

async function work(task: Task): Promise<void> {
  const noter = new Noter(task.places);
  standIn(task.modules, (exports) => {
    exports.mutant.value = task.mutant;
    noter.add(exports);
  });
  for (const [at, piece] of task.pieces.entries()) {
    // Processor time: that of the clock says more of what else the machine does.
    const began = process.cpuUsage();
    const { failure, told } = await run(piece);
    const { user, system } = process.cpuUsage(began);
    const ms = (user + system) / 1000;
    send({ kind: "piece", result: { at, ms, failure, told, reached: noter.take() } });
    // What has come meanwhile is heard: above all that nobody waits any more.
    await setImmediate();
    if (failure !== null && task.stopAtFailure) break;
  }
  send({ kind: "end" });
}

process.on("message", (task: Task) => {
  work(task).catch((thrown: unknown) => {
    console.error(thrown);
    process.exit(1);
  });
});
process.on("disconnect", () => process.exit(0));
send({ kind: "ready", tests: tests.map(({ file, test }) => `${file}: ${test.title}`) });
