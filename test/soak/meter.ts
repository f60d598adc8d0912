// What a daemon uses, with all its processes: memory, descriptors, threads, and the bytes it keeps on disk.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { median } from "../../bench/report.ts";

const EVERY_MS = 5000;
/** So much more in the last quarter than in the second is growth. */
const RSS_GROWTH_MAX = 1.1;
const SPARE = { rssMib: 8, descriptors: 8, threads: 2 } as const;

interface Sample {
  readonly atS: number;
  readonly rssMib: number;
  readonly descriptors: number;
  readonly threads: number;
  readonly keptKib: number;
}

/** A process and its descendants. */
function family(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(family)];
}

const field = (pid: number, name: string): number =>
  Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);

function bytesIn(folder: string): number {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sum + bytesIn(path);
    return sum + (entry.isFile() ? statSync(path).size : 0);
  }, 0);
}

export class Meter {
  readonly #pid: number;
  readonly #folder: string;
  readonly #samples: Sample[] = [];

  constructor(pid: number, folder: string) {
    this.#pid = pid;
    this.#folder = folder;
  }

  /** Measures until the signal; tells each minute. */
  async run(signal: AbortSignal, tell: (line: string) => void): Promise<void> {
    const begin = performance.now();
    while (!signal.aborted) {
      try {
        const sample = this.#measure((performance.now() - begin) / 1000);
        this.#samples.push(sample);
        if (this.#samples.length % 12 === 0) tell(line(sample));
      } catch {
        // A process of the family has ended between two looks; the next sample has the others.
      }
      await setTimeout(EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #measure(atS: number): Sample {
    const pids = family(this.#pid);
    const sum = (of: (pid: number) => number): number => pids.reduce((total, pid) => total + of(pid), 0);
    return {
      atS,
      rssMib: sum((pid) => field(pid, "VmRSS")) / 1024,
      descriptors: sum((pid) => readdirSync(`/proc/${pid}/fd`).length),
      threads: sum((pid) => field(pid, "Threads")),
      keptKib: bytesIn(this.#folder) / 1024,
    };
  }

  /** What has grown from the second quarter to the last. */
  problems(): string[] {
    const quarter = Math.floor(this.#samples.length / 4);
    if (quarter < 3) return ["too few samples to say whether anything grows: run it for longer"];
    const before = this.#samples.slice(quarter, 2 * quarter);
    const after = this.#samples.slice(-quarter);
    const found: string[] = [];
    const compare = (what: keyof typeof SPARE, times: number): void => {
      const [was, is] = [median(before.map((sample) => sample[what])), median(after.map((sample) => sample[what]))];
      if (is > was * times + SPARE[what]) found.push(`${what} grew from ${was.toFixed(0)} to ${is.toFixed(0)}`);
    };
    compare("rssMib", RSS_GROWTH_MAX);
    compare("descriptors", 1);
    compare("threads", 1);
    return found;
  }

  summary(): string {
    const quarter = Math.floor(this.#samples.length / 4);
    const [before, after] = [this.#samples.slice(quarter, 2 * quarter), this.#samples.slice(-quarter)];
    const both = (what: keyof Sample): string =>
      `${median(before.map((sample) => sample[what])).toFixed(0)} -> ${median(after.map((sample) => sample[what])).toFixed(0)}`;
    return `RSS ${both("rssMib")} MiB, descriptors ${both("descriptors")}, threads ${both("threads")}, on disk ${both("keptKib")} KiB`;
  }
}

function line({ atS, rssMib, descriptors, threads, keptKib }: Sample): string {
  return `${atS.toFixed(0).padStart(5)} s: RSS ${rssMib.toFixed(0)} MiB, ${descriptors} descriptors, ${threads} threads, ${keptKib.toFixed(0)} KiB on disk`;
}
