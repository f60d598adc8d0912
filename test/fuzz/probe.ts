// What instrumented code writes to: how often each of its branches was taken, and how many steps it has made. One array
// for all TypeScript, because one process runs one target at a time; a core counts in its own memory, where that is cheap.

/** Branches there may be in all instrumented files together. */
const SITES_MAX = 1 << 16;
/** Loop turns and calls that one input may take; more is a hang, on a machine however slow. */
const STEPS_MAX = 20_000_000;

/** An input made the code run on and on. */
class Hang extends Error {}

/** Counters that lie elsewhere, each up to 255. */
interface Counters {
  readonly count: number;
  readonly read: () => Uint8Array;
  /** An input begins. The counters are cleared already. */
  readonly reset: () => void;
}

/** A core has taken more steps than an input may. */
export function outOfSteps(): never {
  throw new Hang("the core takes too many steps");
}

class Probe {
  readonly #elsewhere: Counters[] = [];
  readonly counters = new Uint8Array(SITES_MAX);
  /** How many branches there are; the rest of `counters` belongs to nobody. */
  sites = 0;
  steps = 0;

  newSite(): number {
    if (this.sites === SITES_MAX) throw new Error(`there are more than ${SITES_MAX} branches`);
    return this.sites++;
  }

  /** A branch was taken. The count stays at its maximum, so that 256 is not never. */
  hit(site: number): void {
    const count = this.counters[site] ?? 0;
    if (count !== 255) this.counters[site] = count + 1;
  }

  /** The same, where code can go round in circles. */
  step(site: number): void {
    this.hit(site);
    this.steps += 1;
    if (this.steps > STEPS_MAX) throw new Hang(`more than ${STEPS_MAX} steps`);
  }

  reset(): void {
    this.counters.fill(0, 0, this.sites);
    this.steps = 0;
    for (const { read, reset } of this.#elsewhere) {
      read().fill(0);
      reset();
    }
  }

  addCounters(counters: Counters): void {
    this.#elsewhere.push(counters);
  }

  /** All counters there are. A target loads its code before the first input, so that a branch keeps its number. */
  all(): Uint8Array[] {
    return [this.counters.subarray(0, this.sites), ...this.#elsewhere.map(({ read }) => read())];
  }
}

export const probe = new Probe();

/** Counts are told apart by their magnitude only, or every length of an input would be news. */
function magnitude(count: number): number {
  return count < 4 ? count - 1 : count < 128 ? 28 - Math.clz32(count) + 2 : 7;
}

/** What the last input has done: one number for each branch and how often it was taken. */
export function features(): number[] {
  const found: number[] = [];
  for (const [part, counters] of probe.all().entries()) {
    for (let site = 0; site < counters.length; site++) {
      const count = counters[site] ?? 0;
      if (count !== 0) found.push((part * SITES_MAX + site) * 8 + magnitude(count));
    }
  }
  return found;
}
