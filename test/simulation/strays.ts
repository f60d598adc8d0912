// A host that repeats completions, or completes what was never submitted. The core counts these and does nothing else: a tag
// identifies its submission as long as its record has been submitted fewer than 256 times since.

import type { SimulatedCore } from "./core.ts";
import type { Random } from "./random.ts";
import type { Tap } from "./tap.ts";

/** How many generations back a tag is certainly recognized, and how many more are used beyond those that it was given. */
const KNOWN_MAX = 192;
const EARLIER_MAX = 128;
/** An index beyond every table. */
const NO_PLACE = 0x80000;
const GENERATION_BITS = 20;
const RESULTS = [0, 0, 1, 28, 4096, -5, -11, -110, 0x7fffffff, -0x80000000];

export class Strays {
  readonly #core: SimulatedCore;
  readonly #tap: Tap;
  readonly #random: Random;
  readonly #chance: number;

  constructor(core: SimulatedCore, tap: Tap, random: Random, chance: number) {
    this.#core = core;
    this.#tap = tap;
    this.#random = random;
    this.#chance = chance;
  }

  /** Puts some into the ring, now and then; returns how many. */
  tell(): number {
    if (this.#chance === 0 || !this.#random.chance(this.#chance)) return 0;
    let told = 0;
    for (let i = this.#random.between(1, 3); i > 0; i--) if (this.#put(this.#tag())) told++;
    this.#tap.overlook();
    return told;
  }

  /** A tag that was completed before; an earlier generation of it; one of a place or a kind that does not exist. */
  #tag(): number {
    const random = this.#random;
    const { past } = this.#tap;
    const nowhere = (random.uint32() | NO_PLACE) >>> 0;
    if (past.length === 0 || random.chance(0.2)) return nowhere;
    const { tag, given } = random.pick(past);
    const back = random.chance(0.6) ? 0 : random.between(1, EARLIER_MAX);
    if (this.#tap.given(tag) - given + back > KNOWN_MAX) return nowhere;
    const generation = ((tag >>> GENERATION_BITS) - back) & 0xff;
    return ((tag & ~(0xff << GENERATION_BITS)) | (generation << GENERATION_BITS)) >>> 0;
  }

  #put(tag: number): boolean {
    if (this.#tap.expects(tag)) return false;
    return this.#core.complete(
      tag,
      this.#random.pick(RESULTS),
      this.#random.uint32() * this.#random.pick([1, 1e3, 1e6]),
    );
  }
}
