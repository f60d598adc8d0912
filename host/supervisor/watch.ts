// Checks that the reactor turns and that control answers, each with a limit of its own. Counted in ticks, not in time: when this
// whole process was held up (a sleeping machine, a debugger), nobody else is to blame.

import type { Life } from "./life.ts";

export const TICK_MS = 1000;
/** Ticks the reactor may leave unanswered before it counts as stalled. */
export const REACTOR_TICKS_MAX = 3;
/** Ticks control may leave unanswered before it is ended. */
export const CONTROL_TICKS_MAX = 10;
/** A control that takes over must serve within this many: probing silent devices takes time. */
export const START_TICKS_MAX = 180;

export interface WatchParts {
  /** Asks the reactor for an answer with this id. */
  readonly askReactor: (id: number) => void;
  readonly reactorStalled: (isStalled: boolean) => void;
  readonly controlStalled: (life: Life, reason: string) => void;
}

export class Watch {
  readonly #parts: WatchParts;
  /** Ids of calls are positive, ours are not. */
  #lastAsked = 0;
  #isAsking = false;
  #unanswered = 0;
  #isStalled = false;
  /** The life being watched, and how many ticks it took before it was ready. */
  #starting: { readonly life: Life; ticks: number } | null = null;

  constructor(parts: WatchParts) {
    this.#parts = parts;
  }

  /** The reactor turns. */
  get isTurning(): boolean {
    return !this.#isStalled;
  }

  /** @param isRunning whether there is a reactor */
  tick(life: Life | null, isRunning: boolean): void {
    if (isRunning) this.#checkReactor();
    if (life !== null) this.#checkControl(life);
  }

  #checkReactor(): void {
    if (this.#isAsking) {
      this.#unanswered++;
      if (this.#unanswered >= REACTOR_TICKS_MAX && !this.#isStalled) {
        this.#isStalled = true;
        this.#parts.reactorStalled(true);
      }
      return;
    }
    this.#isAsking = true;
    this.#unanswered = 0;
    this.#parts.askReactor(--this.#lastAsked);
  }

  /** Whether an answer of the reactor was meant for this watch. */
  answered(id: number): boolean {
    if (id >= 0) return false;
    this.#isAsking = false;
    if (this.#isStalled) {
      this.#isStalled = false;
      this.#parts.reactorStalled(false);
    }
    return true;
  }

  #checkControl(life: Life): void {
    if (!life.isReady) return this.#checkStart(life);
    if (life.silentTicks >= CONTROL_TICKS_MAX) {
      const seconds = (CONTROL_TICKS_MAX * TICK_MS) / 1000;
      this.#parts.controlStalled(life, `it did not answer for ${seconds} s and was ended`);
      return;
    }
    if (life.silentTicks === 0) life.send({ kind: "ping" });
    life.silentTicks++;
  }

  #checkStart(life: Life): void {
    if (this.#starting?.life !== life) this.#starting = { life, ticks: 0 };
    this.#starting.ticks++;
    if (this.#starting.ticks !== START_TICKS_MAX) return;
    const seconds = (START_TICKS_MAX * TICK_MS) / 1000;
    this.#parts.controlStalled(life, `it was not ready within ${seconds} s and was ended`);
  }
}
