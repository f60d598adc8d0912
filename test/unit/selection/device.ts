// A device behind each path, with so many servers and a time for each command: what the policies learn is compared with it.

import type { Bed, Command } from "./bed.ts";

export interface PathModel {
  /** Commands it works on at a time. */
  readonly servers: number;
  /** How long one takes, ns. */
  readonly serviceNs: (command: Command) => number;
}

/** Numbers from 0 to 1, alike in every run. */
export function luckOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 1) / 4294967297;
  };
}

/** Keeps commands in flight on a bed: each starts as soon as a server of its path is free, and ends after its time. */
export class Devices {
  readonly #bed: Bed;
  readonly #paths: readonly PathModel[];
  readonly #free: number[][];
  readonly #ends = new Map<Command, number>();

  constructor(bed: Bed, paths: readonly PathModel[]) {
    this.#bed = bed;
    this.#paths = paths;
    this.#free = paths.map(({ servers }) => Array.from({ length: servers }, () => 0));
  }

  /** Sends one command; answers its slot. */
  send(bytes = 4096, write = 0, allowed = 0xffffffff): number {
    const slot = this.#bed.send(bytes, write, allowed);
    const command = this.#bed.commands.at(-1);
    const free = this.#free[slot];
    const path = this.#paths[slot];
    if (command === undefined || free === undefined || path === undefined) throw new RangeError(`slot ${slot}`);
    const server = free.indexOf(Math.min(...free));
    const endNs = Math.max(this.#bed.nowNs, free[server] ?? 0) + path.serviceNs(command);
    free[server] = endNs;
    this.#ends.set(command, endNs);
    return slot;
  }

  /** Time goes on to the next command that ends. */
  finishNext(): Command {
    const [next] = [...this.#ends].toSorted(([, a], [, b]) => a - b);
    if (next === undefined) throw new RangeError("nothing is in flight");
    const [command, endNs] = next;
    this.#ends.delete(command);
    this.#bed.nowNs = Math.max(this.#bed.nowNs, endNs);
    return this.#bed.finish(this.#bed.commands.indexOf(command));
  }

  /** Sends `count` commands, `depth` at a time; answers how many each slot got. All come back. */
  run(count: number, depth: number, bytes = 4096, write = 0, allowed = 0xffffffff): number[] {
    const shares = this.#paths.map(() => 0);
    for (let sent = 0; sent < count; sent++) {
      if (this.#ends.size === depth) this.finishNext();
      const slot = this.send(bytes, write, allowed);
      shares[slot] = (shares[slot] ?? 0) + 1;
    }
    this.drain();
    return shares;
  }

  drain(): void {
    while (this.#ends.size > 0) this.finishNext();
  }
}
