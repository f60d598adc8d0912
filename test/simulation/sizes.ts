// The size of a unit that grows and shrinks while it is in use: what its array has, and what control has told the core. Control
// learns of a change a while later, so for some time the two differ, and a request may meet either.

import type { Header } from "./wire.ts";

interface Step {
  readonly fromNs: number;
  readonly bytes: number;
}

/** The sizes that somebody has had, in the order of time. */
class Steps {
  readonly #steps: Step[] = [];

  set(fromNs: number, bytes: number): void {
    if (this.#steps.at(-1)?.bytes !== bytes) this.#steps.push({ fromNs, bytes });
  }

  /** The sizes at any time from `fromNs` to `toNs`. */
  during(fromNs: number, toNs: number): number[] {
    const next = this.#steps.findIndex((step) => step.fromNs > fromNs);
    const first = Math.max(0, (next < 0 ? this.#steps.length : next) - 1);
    return this.#steps
      .slice(first)
      .filter((step, at) => at === 0 || step.fromNs <= toNs)
      .map(({ bytes }) => bytes);
  }
}

/** What a request may have met that was in progress for a while. */
export interface Ends {
  /** Beyond this, the core refuses. */
  readonly most: number;
  /** Up to here, neither the core nor the device refuses. */
  readonly least: number;
  /** Beyond this, the device reads and writes nothing. */
  readonly device: number;
}

export class Sizes {
  readonly array = new Steps();
  readonly core = new Steps();

  /** A unit whose array has `bytes` bytes from the beginning. */
  constructor(bytes: number) {
    this.array.set(0, bytes);
    this.core.set(0, bytes);
  }

  during(fromNs: number, toNs: number): Ends {
    const core = this.core.during(fromNs, toNs);
    const array = this.array.during(fromNs, toNs);
    return { most: Math.max(...core), least: Math.min(...core, ...array), device: Math.max(...array) };
  }
}

/** Whether a request goes beyond the end of a unit of this size. */
export function reachesBeyond({ offset, bytes }: Header, size: number): boolean {
  return offset + BigInt(bytes) > BigInt(size);
}
