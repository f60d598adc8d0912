// How much I/O each unit has had in the last minutes. It is remembered beside the state, where it decides at the next start which
// reactor gets which unit. It is a hint: where it is lost, the number of units decides.

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import type { Snapshot } from "../core/snapshot.ts";
import type { Inventory, Unit } from "../inventory/inventory.ts";

export const LOADS_FILE = "loads.json";
/** Time between two looks at the counters. */
const SAMPLE_MS = 30_000;
/** Looks between two writes. */
const SAMPLES_PER_WRITE = 10;
/** Time over which I/O counts; what was before fades. */
const MEMORY_MS = 300_000;

/** Requests per second, by identity. */
const Loads = z.object({ perS: z.record(z.string(), z.number().nonnegative()) });

interface Seen {
  readonly handle: number;
  readonly answered: number;
}

function read(file: string): Map<string, number> {
  try {
    return new Map(Object.entries(Loads.parse(JSON.parse(readFileSync(file, "utf8"))).perS));
  } catch {
    return new Map();
  }
}

export class UnitLoads {
  readonly #inventory: Pick<Inventory, "units">;
  #file: string | null = null;
  #perS = new Map<string, number>();
  readonly #seen = new WeakMap<Unit, Seen>();
  #sampledMs: number;
  #samples = 0;

  constructor(inventory: Pick<Inventory, "units">, nowMs = performance.now()) {
    this.#inventory = inventory;
    this.#sampledMs = nowMs;
  }

  /** From now on they are remembered there; those of an earlier daemon hold until there are newer ones. */
  keepIn(directory: string): void {
    this.#file = join(directory, LOADS_FILE);
    this.#perS = read(this.#file);
  }

  /** Requests per second of the unit; 0 where nothing worth mentioning is remembered. */
  of({ identity }: Unit): number {
    return Math.round(this.#perS.get(identity.text) ?? 0);
  }

  /** Called with each copy of the tables; looks at some of them. */
  learn(snapshot: Pick<Snapshot, "unit">, nowMs = performance.now()): void {
    if (nowMs - this.#sampledMs < SAMPLE_MS) return;
    this.#sample(snapshot, nowMs);
    this.#samples += 1;
    if (this.#samples % SAMPLES_PER_WRITE === 0) this.#write();
  }

  /** The daemon stops. */
  remember(snapshot: Pick<Snapshot, "unit">, nowMs = performance.now()): void {
    this.#sample(snapshot, nowMs);
    this.#write();
  }

  #sample(snapshot: Pick<Snapshot, "unit">, nowMs: number): void {
    const ms = nowMs - this.#sampledMs;
    if (ms <= 0) return;
    const share = 1 - Math.exp(-ms / MEMORY_MS);
    for (const unit of this.#inventory.units()) {
      const answered = unit.handle === null ? undefined : snapshot.unit(unit.handle)?.answered;
      if (unit.handle === null || answered === undefined) continue;
      const seen = this.#seen.get(unit);
      this.#seen.set(unit, { handle: unit.handle, answered });
      if (seen === undefined) continue;
      // In another core, or one that was started again, it counts from the beginning.
      const isAnew = seen.handle !== unit.handle || answered < seen.answered;
      const perS = (1000 * (isAnew ? answered : answered - seen.answered)) / ms;
      const before = this.#perS.get(unit.identity.text) ?? perS;
      this.#perS.set(unit.identity.text, before + (perS - before) * share);
    }
    this.#sampledMs = nowMs;
  }

  #write(): void {
    if (this.#file === null) return;
    const entries = this.#inventory.units().map((unit) => [unit.identity.text, this.of(unit)] as const);
    const perS = Object.fromEntries(entries.filter(([, load]) => load > 0));
    try {
      writeFileSync(`${this.#file}.new`, `${JSON.stringify({ perS })}\n`, { mode: 0o640 });
      renameSync(`${this.#file}.new`, this.#file);
    } catch {
      // Writing the state reports a disk that takes nothing; without the file the number of units decides.
    }
  }
}
