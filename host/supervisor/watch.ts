// Checks that the reactors turn and that control answers, each with a limit of its own. Counted in ticks, not in time: when this
// whole process was held up (a sleeping machine, a debugger), nobody else is to blame.

import type { Life } from "./life.ts";

export const TICK_MS = 1000;
/** Ticks the reactor may leave unanswered before it counts as stalled. */
export const REACTOR_TICKS_MAX = 3;
/** Ticks control may leave unanswered before it is ended. */
export const CONTROL_TICKS_MAX = 10;
/** A control that takes over must serve within this many: probing silent devices takes time. */
export const START_TICKS_MAX = 180;

export interface ReactorWatchParts {
  /** Asks the reactor for an answer with this id. */
  readonly ask: (id: number) => void;
  readonly stalled: (isStalled: boolean) => void;
  /** It has not turned for so many ticks since it counts as stalled. */
  readonly silentFor?: (ticks: number) => void;
}

/** Checks one reactor. */
export class ReactorWatch {
  readonly #parts: ReactorWatchParts;
  /** Ids of calls are positive, ours are not. */
  #lastAsked = 0;
  #isAsking = false;
  #unanswered = 0;
  #isStalled = false;

  constructor(parts: ReactorWatchParts) {
    this.#parts = parts;
  }

  /** The reactor turns. */
  get isTurning(): boolean {
    return !this.#isStalled;
  }

  /** Another reactor begins in its place. */
  begin(): void {
    this.#isAsking = false;
    this.#isStalled = false;
    this.#unanswered = 0;
  }

  tick(): void {
    if (this.#isAsking) {
      this.#unanswered++;
      if (this.#unanswered >= REACTOR_TICKS_MAX && !this.#isStalled) {
        this.#isStalled = true;
        this.#parts.stalled(true);
      }
      if (this.#isStalled) this.#parts.silentFor?.(this.#unanswered - REACTOR_TICKS_MAX);
      return;
    }
    this.#isAsking = true;
    this.#unanswered = 0;
    this.#parts.ask(--this.#lastAsked);
  }

  /** Whether an answer of the reactor was meant for this watch. */
  answered(id: number): boolean {
    if (id >= 0) return false;
    this.#isAsking = false;
    if (this.#isStalled) {
      this.#isStalled = false;
      this.#parts.stalled(false);
    }
    return true;
  }
}

/** Checks control. */
export class ControlWatch {
  readonly #stalled: (life: Life, reason: string) => void;
  /** The life being watched, and how many ticks it took before it was ready. */
  #starting: { readonly life: Life; ticks: number } | null = null;

  constructor(stalled: (life: Life, reason: string) => void) {
    this.#stalled = stalled;
  }

  tick(life: Life): void {
    if (!life.isReady) return this.#checkStart(life);
    if (life.silentTicks >= CONTROL_TICKS_MAX) {
      const seconds = (CONTROL_TICKS_MAX * TICK_MS) / 1000;
      this.#stalled(life, `it did not answer for ${seconds} s and was ended`);
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
    this.#stalled(life, `it was not ready within ${seconds} s and was ended`);
  }
}
