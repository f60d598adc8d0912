// Virtual time: actions happen in one order, which is the same for the same seed.

interface Entry {
  readonly timeNs: number;
  readonly sequence: number;
  readonly action: () => void;
}

/** A queue of actions in virtual time. Actions due at the same time run in the order in which they were scheduled. */
export class VirtualClock {
  /** Current time in ns since the world began; a number up to 2^53 (104 days). */
  nowNs = 0;
  #sequence = 0;
  readonly #heap: Entry[] = [];

  /** Schedules `action` in `delayNs` (at least 0). */
  after(delayNs: number, action: () => void): void {
    const entry = { timeNs: this.nowNs + Math.max(0, Math.round(delayNs)), sequence: this.#sequence++, action };
    const heap = this.#heap;
    heap.push(entry);
    let at = heap.length - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!this.#before(at, up)) break;
      this.#swap(at, up);
      at = up;
    }
  }

  /** When the next action is due; Infinity when none is scheduled. */
  get nextNs(): number {
    return this.#heap[0]?.timeNs ?? Infinity;
  }

  /** Runs everything that is due now; returns whether anything was. */
  runDue(): boolean {
    let ran = false;
    while (this.nextNs <= this.nowNs) {
      this.#pop()?.action();
      ran = true;
    }
    return ran;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    heap[0] = last;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= heap.length) return top;
      const smaller = left + 1 < heap.length && this.#before(left + 1, left) ? left + 1 : left;
      if (!this.#before(smaller, at)) return top;
      this.#swap(smaller, at);
      at = smaller;
    }
  }

  #before(a: number, b: number): boolean {
    const first = this.#heap[a];
    const second = this.#heap[b];
    if (first === undefined || second === undefined) return false;
    return first.timeNs < second.timeNs || (first.timeNs === second.timeNs && first.sequence < second.sequence);
  }

  #swap(a: number, b: number): void {
    const first = this.#heap[a];
    const second = this.#heap[b];
    if (first === undefined || second === undefined) return;
    this.#heap[a] = second;
    this.#heap[b] = first;
  }
}
