// When control is restarted: at once after a normal life, with growing delays when it dies young. It never gives up: I/O
// continues without control.

/** A shorter life counts as dying young. */
const YOUNG_MS = 60_000;
const PAUSE_MS = 1000;
const PAUSE_MS_MAX = 30_000;
/** This many deaths within this time are more than an accident. */
export const DEATHS_MAX = 5;
export const DEATHS_WITHIN_MS = 600_000;

export interface Verdict {
  /** How long to wait before control is started again. */
  readonly pauseMs: number;
  /** Recent deaths, including this one. */
  readonly deaths: number;
  readonly isUnsteady: boolean;
}

export class Pace {
  #deathsMs: number[] = [];
  /** Young deaths in a row. */
  #young = 0;

  /** @param livedMs how long this life took */
  died(nowMs: number, livedMs: number): Verdict {
    this.#deathsMs = [...this.#deathsMs.filter((ms) => nowMs - ms < DEATHS_WITHIN_MS), nowMs];
    this.#young = livedMs < YOUNG_MS ? this.#young + 1 : 0;
    const deaths = this.#deathsMs.length;
    // The first accident is free, however young.
    const pauseMs = this.#young < 2 ? 0 : Math.min(PAUSE_MS * 2 ** (this.#young - 2), PAUSE_MS_MAX);
    return { pauseMs, deaths, isUnsteady: deaths >= DEATHS_MAX };
  }
}
