// Checks that what clients read is what a single disk could have answered.
//
// Every write has content of its own (blocks.ts), so what a cell holds names the write behind it; a cell is a block, or the
// part of one that clients count in. For one cell the disk is a register with unique values, and an answer is right exactly
// when some order of all operations explains it in which operations that did not overlap in time keep their order. For such
// registers two rules catch every violation that concerns one read:
//
//   stale    a read may not give value v when another write began after v's write had ended and ended before the read began
//   future   a read may not give a value whose write began after the read had ended
//
// and a third one the pairs of reads:
//
//   back     once a read gave a value, a later read may not give one that was certainly replaced before that value's write began
//
// Zeroes, and the few bytes of a write that is nearly all zeroes, may be of several writes: then any of them explains a read.
//
// What the medium holds below the array's volatile cache follows a rule of its own:
//
//   lost     no value that a write replaced for certain which is durable: written with FUA, or flushed since
//
// A write that was answered with an error may have happened or not, but if it did, then before the answer: a command
// that was given up must never land on top of a later write. A write that was never answered (its client vanished) may
// happen whenever its command settles.

import { ZERO } from "./blocks.ts";

/** One write, in the history of each cell that it covers. */
interface Write {
  readonly stamp: number;
  readonly first: number;
  readonly count: number;
  readonly startNs: number;
  /** When it was answered; Infinity while it was not. */
  endNs: number;
  /** It certainly took effect (answered without an error). */
  sure: boolean;
  /** It is on the medium for good: written with FUA, or flushed since. A power failure cannot undo it. */
  durable: boolean;
  readonly fua: boolean;
  /** The array lost power while it was under way: it may have been carried out before that, whatever its answer says. */
  overtaken: boolean;
}

/** Cells from `first` on. */
export interface Cells {
  readonly first: number;
  readonly count: number;
}

/** What one read saw, kept while a later read could be compared with it. */
interface Seen {
  readonly write: Write;
  readonly endNs: number;
}

export interface Violation {
  readonly rule: "stale" | "future" | "back" | "unknown" | "lost";
  readonly cell: number;
  readonly text: string;
}

/** What was found in one cell. */
export interface Found {
  /** The write that it names; undefined: none. */
  readonly stamp: number | undefined;
  /** Whether it can be that one's only. */
  readonly certain: boolean;
  /** Whether it is what another write would have put there. */
  holds(stamp: number): boolean;
}

const NOBODY: Write = {
  stamp: ZERO,
  first: 0,
  count: Infinity,
  startNs: -2,
  endNs: -1,
  sure: true,
  durable: true,
  fua: true,
  overtaken: false,
};

/** The history of one cell. */
class CellHistory {
  readonly writes: Write[] = [NOBODY];
  /** The read that began the rule "back": the one whose value has the latest start of its write. */
  newest: Seen | undefined;

  /** Looks for a write that explains what was found: undefined, or the first violation. */
  explain(cell: number, found: Found, check: (write: Write) => Violation | undefined): Violation | undefined {
    let violation: Violation | undefined;
    // The earliest that explains it says the least about later reads, and nobody knows more.
    const byName = found.certain && found.stamp !== undefined;
    for (const write of this.writes) {
      if (byName ? write.stamp !== found.stamp : !found.holds(write.stamp)) continue;
      violation = check(write);
      if (violation === undefined) return undefined;
    }
    const text = `stamp ${found.stamp ?? "(unknown)"} was never written here`;
    return violation ?? { rule: "unknown", cell, text };
  }

  checkRead(write: Write, startNs: number, endNs: number, cell: number): Violation | undefined {
    const stamp = write.stamp;
    if (write.startNs > endNs) {
      return { rule: "future", cell, text: `stamp ${stamp} was written after the read had ended` };
    }
    for (const other of this.writes) {
      if (other.sure && other !== write && other.startNs > write.endNs && other.endNs < startNs) {
        return {
          rule: "stale",
          cell,
          text:
            `read ${startNs}..${endNs} gave stamp ${stamp} (written ${write.startNs}..${write.endNs}), ` +
            `but stamp ${other.stamp} was written ${other.startNs}..${other.endNs}`,
        };
      }
    }
    return undefined;
  }

  checkOrder(write: Write, startNs: number, endNs: number, cell: number, lostNs: number): Violation | undefined {
    const newest = this.newest;
    if (newest !== undefined && newest.endNs < startNs && newest.write !== write && write.stamp !== ZERO) {
      // The earlier read saw a value whose write began after this one's write had ended: the disk went back in time.
      if (newest.write.startNs > write.endNs) {
        return {
          rule: "back",
          cell,
          text: `stamp ${write.stamp} was read after stamp ${newest.write.stamp}, which was written later`,
        };
      }
    }
    if (startNs < lostNs) return undefined;
    if (newest === undefined || write.startNs > newest.write.startNs) this.newest = { write, endNs };
    return undefined;
  }

  checkDurable(write: Write, cell: number): Violation | undefined {
    for (const other of this.writes) {
      if (!other.durable || other === write || other.startNs <= write.endNs) continue;
      const how = other.fua ? "written with FUA" : "flushed";
      const text = `the medium holds stamp ${write.stamp}, but stamp ${other.stamp} was ${how} and answered at ${other.endNs}`;
      return { rule: "lost", cell, text };
    }
    return undefined;
  }
}

/** The histories of all cells of one unit that were ever written. */
export class History {
  readonly #cells = new Map<number, CellHistory>();
  /** Writes that a loss of power may undo. */
  readonly #fleeting = new Set<Write>();
  /** When the array last lost power: a read that began before says nothing about what came after. */
  #lostNs = -Infinity;

  #of(cell: number): CellHistory {
    let history = this.#cells.get(cell);
    if (history === undefined) {
      history = new CellHistory();
      this.#cells.set(cell, history);
    }
    return history;
  }

  /**
   * A write of `stamp` to `count` cells from `first` was sent. The answer is told through the returned handle.
   * @param among those cells of it that anybody will look at; all of them when missing
   */
  writeStarted(
    first: number,
    count: number,
    stamp: number,
    nowNs: number,
    fua: boolean,
    among?: readonly Cells[],
  ): WriteHandle {
    const write: Write = {
      stamp,
      first,
      count,
      startNs: nowNs,
      endNs: Infinity,
      sure: false,
      durable: false,
      fua,
      overtaken: false,
    };
    for (const part of among ?? [write]) {
      const end = Math.min(part.first + part.count, first + count);
      for (let cell = Math.max(part.first, first); cell < end; cell++) this.#of(cell).writes.push(write);
    }
    this.#fleeting.add(write);
    return new WriteHandle(write, () => this.#fleeting.delete(write));
  }

  /** Checks one cell of a read that was sent at `startNs` and answered at `endNs`. */
  read(cell: number, found: Found, startNs: number, endNs: number): Violation | undefined {
    const history = this.#cells.get(cell);
    if (history === undefined)
      return found.stamp === ZERO ? undefined : this.#of(cell).explain(cell, found, () => undefined);
    return history.explain(cell, found, (write) => {
      const violation = history.checkRead(write, startNs, endNs, cell);
      if (violation !== undefined || !found.certain) return violation;
      return history.checkOrder(write, startNs, endNs, cell, this.#lostNs);
    });
  }

  /** Checks what the medium holds in a cell, below the volatile cache. */
  medium(cell: number, found: Found): Violation | undefined {
    const history = this.#of(cell);
    return history.explain(cell, found, (write) => history.checkDurable(write, cell));
  }

  /** A flush that was sent at `startNs` was answered without an error: what had been answered by then is durable. Answers that. */
  flushed(startNs: number): Cells[] {
    const durable: Cells[] = [];
    for (const write of this.#fleeting) {
      if (!write.sure || write.endNs >= startNs) continue;
      write.durable = true;
      this.#fleeting.delete(write);
      durable.push(write);
    }
    return durable;
  }

  /**
   * The array lost power and with it what only its volatile cache held: such writes may have happened or not. With an
   * array that has no volatile cache nothing changes, and this must not be called.
   */
  powerLost(nowNs: number): void {
    this.#lostNs = nowNs;
    for (const write of this.#fleeting) {
      write.sure = false;
      write.overtaken = true;
    }
    for (const history of this.#cells.values()) history.newest = undefined;
  }

  /** All cells that anybody wrote to, in order. */
  written(): number[] {
    return [...this.#cells.keys()].toSorted((a, b) => a - b);
  }
}

/** One write request, told to the history once it is answered. */
export class WriteHandle {
  readonly #write: Write;
  readonly #settled: () => void;

  constructor(write: Write, settled: () => void) {
    this.#write = write;
    this.#settled = settled;
  }

  /** Answered without an error: from now on it certainly happened, unless a loss of power may have undone it. Answers whether it is durable. */
  acknowledged(nowNs: number): boolean {
    const write = this.#write;
    write.endNs = nowNs;
    write.sure = !write.overtaken || write.fua;
    write.durable = write.fua && write.sure;
    if (write.durable) this.#settled();
    return write.durable;
  }

  /** Answered with an error, or a hint that need not be followed: it happened before now, or never. */
  failed(nowNs: number): void {
    this.#write.endNs = nowNs;
    this.#settled();
  }
}
