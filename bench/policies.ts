// The policies alone, for tests and benches: bench/core/selection.ts, loaded and typed.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Exports of build/bench/selection.wasm. A Selection is identified by its address `s`; times are ns as doubles. */
export interface Policies {
  readonly memory: WebAssembly.Memory;
  tableNew(units: number): number;
  selectionBytes(): number;
  init(s: number, seed: bigint): void;
  configure(s: number, policy: number, parameter: number, parameter2: number): number;
  setPolicy(s: number, policy: number): number;
  setParameter(s: number, index: number, value: number): number;
  setPath(s: number, slot: number, priority: number, weight: number): number;
  clearPath(s: number, slot: number): void;
  setUsable(s: number, usable: number): void;
  usedSlots(s: number): number;
  serviceNs(s: number, slot: number): number;
  inFlight(s: number, slot: number): number;
  costNs(s: number, slot: number, bytes: number, write: number): number;
  backlogNs(s: number, slot: number): number;
  servers(s: number, slot: number): number;
  learns(s: number): number;
  choose(s: number, allowed: number, bytes: number, write: number, affinity: number, nowNs: number): number;
  start(s: number, slot: number, bytes: number, write: number, nowNs: number): number;
  finish(
    s: number,
    slot: number,
    bytes: number,
    write: number,
    latencyNs: number,
    good: number,
    nowNs: number,
    note: number,
  ): void;
  /** Returns slot + 32 x note. */
  dispatch(s: number, allowed: number, bytes: number, write: number, affinity: number, nowNs: number): number;
  /** Like `dispatch` and `finish`, with all paths allowed, on a clock in memory that advances by `stepNs`. */
  send(s: number, bytes: number, write: number, affinity: number, stepNs: number): number;
  receive(s: number, sent: number, bytes: number, write: number, latencyNs: number): void;
  exchange(s: number, sent: number, latencyNs: number, affinity: number, stepNs: number): number;
  setHedgeBudget(s: number, budget: number): number;
  hedgeAfter(s: number, bytes: number): number;
  takeHedge(s: number): number;
  learnHedge(s: number, bytes: number, latencyNs: number): void;
}

const file = fileURLToPath(new URL("../build/bench/selection.wasm", import.meta.url));
const compiled = new WebAssembly.Module(readFileSync(file));

function abort(message: number, where: number, line: number, column: number): never {
  throw new Error(`assertion in the core, line ${line}, column ${column} (${message}, ${where})`);
}

/** A fresh instance, with its own memory, of a module of bench/core. */
export function instantiate<Exports>(module: WebAssembly.Module): Exports {
  const { exports } = new WebAssembly.Instance(module, { env: { abort } });
  (exports as { prepare(): void }).prepare();
  return exports as Exports;
}

/** A fresh instance with room for `units` Selections. */
export function loadPolicies(units = 1): { readonly policies: Policies; readonly selections: readonly number[] } {
  const policies = instantiate<Policies>(compiled);
  const base = policies.tableNew(units);
  const bytes = policies.selectionBytes();
  return { policies, selections: Array.from({ length: units }, (_, index) => base + index * bytes) };
}
