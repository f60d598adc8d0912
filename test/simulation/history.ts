// Checks that what clients read could have come from a single disk.
//
// Every write has unique content (blocks.ts), so the content of a cell identifies the write behind it; a cell is a block, or
// the part of a block that clients use as a unit. For one cell the disk is a register with unique values, and an answer is
// correct exactly if it is explained by some order of all operations in which operations that did not overlap in time keep
// their order. For such registers two rules detect every violation by a single read:
//
//   stale    a read must not return value v when another write began after v's write ended and ended before the read began
//   future   a read must not return a value whose write began after the read had ended
//
// and a third rule detects those by pairs of reads:
//
//   back     after a read returned a value, a later one must not return one certainly replaced before that value's write began
//
// Zeroes, and the few bytes of a write that is almost entirely zeroes, may be of several writes: any of them then explains a
// read.
//
// The content of the medium, below the array's volatile cache, follows a rule of its own:
//
//   lost     no value that was certainly replaced by a durable write: one with FUA, or flushed since
//
// A write that was answered with an error may have happened or not, but if it did, then before the answer: a command that
// was given up must never overwrite a later write. A write that was never answered (its client vanished) may happen whenever
// its command is settled.

import { ZERO } from "./blocks.ts";

/** One write, in the history of each cell that it covers. */
interface Write {
  readonly stamp: number;
  readonly first: number;
  readonly count: number;
  readonly startNs: number;
  /** When it was answered; Infinity until then. */
  endNs: number;
  /** It certainly took effect (answered without error). */
  sure: boolean;
  /** It is on the medium permanently: written with FUA, or flushed since. A power failure cannot undo it. */
  durable: boolean;
  readonly fua: boolean;
  /** The array lost power while it was in progress: it may have been executed before, whatever its answer says. */
  overtaken: boolean;
}

/** Cells from `first` on. */
export interface Cells {
  readonly first: number;
  readonly count: number;
}

/** What one read saw, kept as long as a later read could be compared with it. */
interface Seen {
  readonly write: Write;
  readonly endNs: number;
}

export interface Violation {
  readonly rule: "stale" | "future" | "back" | "unknown" | "lost";
  readonly cell: number;
  readonly text: string;
}

/** The content of one cell. */
export interface Found {
  /** The write that it identifies; undefined: none. */
  readonly stamp: number | undefined;
  /** Whether it can only be of that write. */
  readonly certain: boolean;
  /** Whether it is the content that another write would have put there. */
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
  /** The read relevant for the rule "back": the one whose value's write started last. */
  newest: Seen | undefined;

  /** Looks for a write that explains the content: returns undefined, or the first violation. */
  explain(cell: number, found: Found, check: (write: Write) => Violation | undefined): Violation | undefined {
    let violation: Violation | undefined;
    // The earliest write that explains it restricts later reads least, and no more is known.
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

/** The histories of all written cells of one unit. */
export class History {
  readonly #cells = new Map<number, CellHistory>();
  /** Writes that a power loss may undo. */
  readonly #fleeting = new Set<Write>();
  /** When the array last lost power: a read that began before does not restrict later reads. */
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
   * A write of `stamp` to `count` cells from `first` was sent. The answer is reported through the returned handle.
   * @param among those of its cells that anybody will check; all of them when omitted
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

  /** Checks the content of the medium in a cell, below the volatile cache. */
  medium(cell: number, found: Found): Violation | undefined {
    const history = this.#of(cell);
    return history.explain(cell, found, (write) => history.checkDurable(write, cell));
  }

  /**
   * A flush that was sent at `startNs` was answered without error: writes answered before then are durable. Returns their
   * cells.
   */
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
   * The array lost power, and with it the content of its volatile cache: writes that were only there may have happened or
   * not. For an array without a volatile cache nothing changes, and this must not be called.
   */
  powerLost(nowNs: number): void {
    this.#lostNs = nowNs;
    for (const write of this.#fleeting) {
      write.sure = false;
      write.overtaken = true;
    }
    for (const history of this.#cells.values()) history.newest = undefined;
  }

  /** All cells that were ever written, in order. */
  written(): number[] {
    return [...this.#cells.keys()].toSorted((a, b) => a - b);
  }
}

/** One write request; its answer is passed on to the history. */
export class WriteHandle {
  readonly #write: Write;
  readonly #settled: () => void;

  constructor(write: Write, settled: () => void) {
    this.#write = write;
    this.#settled = settled;
  }

  /** Answered without error: it certainly happened, unless a power loss may have undone it. Returns whether it is durable. */
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
