// The loop: an input that takes a branch nobody took before, or takes one in another order of magnitude, is kept, and new
// ones are made from it.

import { mutated, type Pool } from "./mutate.ts";
import { features, probe } from "./probe.ts";
import type { Random } from "./random.ts";
import type { Target } from "./target.ts";

interface Kept {
  readonly input: Uint8Array;
  readonly features: readonly number[];
}

/** An input failed. */
export class Failure extends Error {
  readonly input: Uint8Array;

  constructor(input: Uint8Array, cause: unknown) {
    super(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause), { cause });
    this.input = input;
  }
}

const messageOf = (failure: unknown): string =>
  failure instanceof Failure && failure.cause instanceof Error ? failure.cause.message : String(failure);

export class Engine {
  readonly #target: Target;
  readonly #random: Random;
  readonly #words: readonly Uint8Array[];
  readonly #seen = new Set<number>();
  readonly #kept: Kept[] = [];
  runs = 0;

  constructor(target: Target, random: Random, words: readonly Uint8Array[]) {
    this.#target = target;
    this.#random = random;
    this.#words = words;
  }

  get branches(): number {
    return new Set([...this.#seen].map((one) => one >> 3)).size;
  }

  get count(): number {
    return this.#kept.length;
  }

  /** Runs one input; keeps it when it does something new. */
  async run(input: Uint8Array): Promise<void> {
    const done = await this.#attempt(input);
    if (done.every((one) => this.#seen.has(one))) return;
    for (const one of done) this.#seen.add(one);
    this.#kept.push({ input, features: done });
  }

  async #attempt(input: Uint8Array): Promise<number[]> {
    probe.reset();
    this.runs += 1;
    try {
      await this.#target.run(input);
    } catch (error) {
      throw new Failure(input, error);
    }
    return features();
  }

  /** Tries one new input. */
  async turn(): Promise<void> {
    const inputs = this.#kept.map(({ input }) => input);
    const pool: Pool = { words: this.#words, inputs };
    // Every second one comes from the latest finds, where the news is.
    const latest = Math.min(inputs.length, 16);
    const parent = this.#random.below(2) === 0 ? this.#random.pick(inputs) : inputs.at(-1 - this.#random.below(latest));
    await this.run(mutated(parent ?? Buffer.alloc(0), this.#random, pool, this.#target.bytesMax));
  }

  /** As few and small inputs as do all that was seen. */
  minimal(): Uint8Array[] {
    const rest = new Set(this.#seen);
    const chosen: Uint8Array[] = [];
    for (const { input, features: done } of this.#kept.toSorted((a, b) => a.input.length - b.input.length)) {
      if (!done.some((one) => rest.has(one))) continue;
      for (const one of done) rest.delete(one);
      chosen.push(input);
    }
    return chosen;
  }

  /** A smaller input that fails in the same way. */
  async smaller(failure: Failure): Promise<Failure> {
    let smallest = failure;
    for (let size = failure.input.length >> 1; size > 0; size >>= 1) {
      for (let at = 0; at < smallest.input.length;) {
        const { input } = smallest;
        const cut = Buffer.concat([input.subarray(0, at), input.subarray(at + size)]);
        const again = await this.#attempt(cut).then(
          () => undefined,
          (error: unknown) => error,
        );
        if (again instanceof Failure && messageOf(again) === messageOf(failure)) smallest = again;
        else at += size;
      }
    }
    return smallest;
  }
}
