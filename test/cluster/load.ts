// What the writers have recorded (writer.py), and how long the load was interrupted.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { median } from "../../bench/report.ts";
import { FOLDER } from "./nodes.ts";

/** One start of the writer. */
export interface Generation {
  readonly generation: number;
  readonly node: string;
  /** Acknowledged writes, and when the first and the last one were. */
  readonly done: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

function read(folder: string, name: string): Generation {
  const [generation = "", node = ""] = name.split(".");
  // What follows the last line's end is cut.
  const lines = readFileSync(join(folder, name), "utf8").split("\n").slice(0, -1);
  const times = lines.filter((line) => line.startsWith("done")).map((line) => Number(line.split(" ")[3]));
  return {
    generation: Number(generation),
    node,
    done: times.length,
    firstMs: times[0] ?? 0,
    lastMs: times.at(-1) ?? 0,
  };
}

/** Those from number `from` on. Whoever asks again and again for the newest need not read what all have written. */
export function generations(from = 0): readonly Generation[] {
  const folder = join(FOLDER, "writes");
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => Number(name.split(".")[0]) >= from)
    .map((name) => read(folder, name))
    .toSorted((a, b) => a.generation - b.generation);
}

const seconds = (ms: number): string => (ms / 1000).toFixed(1);

/** Durations of one kind, reported as a median and the longest. */
export class Durations {
  readonly #what: string;
  readonly #ms: number[] = [];

  constructor(what: string) {
    this.#what = what;
  }

  add(ms: number): string {
    this.#ms.push(ms);
    return `${this.#what}: ${seconds(ms)} s`;
  }

  summary(): string {
    const all = this.#ms;
    if (all.length === 0) return `${this.#what}: never`;
    return `${this.#what}: ${all.length} times, median ${seconds(median(all))} s, longest ${seconds(Math.max(...all))} s`;
  }
}
