// Checks that what clients read is what a single disk could have answered.
//
// Every write puts a stamp of its own into each block it covers, so a block's content names the write behind it. For one
// block the disk is a register with unique values, and an answer is right exactly when some order of all operations
// explains it in which operations that did not overlap in time keep their order. For such registers two rules catch
// every violation that concerns one read:
//
//   stale    a read may not give value v when another write began after v's write had ended and ended before the read began
//   future   a read may not give a value whose write began after the read had ended
//
// and a third one the pairs of reads:
//
//   back     once a read gave a value, a later read may not give one that was certainly replaced before that value's write began
//
// A write that was answered with an error may have happened or not, but if it did, then before the answer: a command
// that was given up must never land on top of a later write. A write that was never answered (its client vanished) may
// happen whenever its command settles.

/** Stamp of blocks nobody wrote: all zero bytes. */
export const ZERO = 0;

interface Write {
  readonly stamp: number;
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

/** What one read saw, kept while a later read could be compared with it. */
interface Seen {
  readonly write: Write;
  readonly endNs: number;
}

export interface Violation {
  readonly rule: "stale" | "future" | "back" | "torn" | "unknown";
  readonly block: number;
  readonly text: string;
}

/** The history of one block. Old writes that can no longer explain anything are dropped. */
class BlockHistory {
  writes: Write[] = [{ stamp: ZERO, startNs: -2, endNs: -1, sure: true, durable: true, fua: true, overtaken: false }];
  /** The read that began the rule "back": the one whose value has the latest start of its write. */
  newest: Seen | undefined;
  /** When the array last lost power: a read that began before says nothing about what came after. */
  lostNs = -Infinity;

  add(write: Write): void {
    this.writes.push(write);
  }

  /**
   * Forgets writes that cannot be the answer to any read that begins at `nowNs` or later. Reads under way began at
   * `oldestReadNs` or later, so a write replaced before that is out of reach for all of them.
   */
  prune(oldestReadNs: number): void {
    if (this.writes.length < 24) return;
    let lastSureStart = -Infinity;
    for (const write of this.writes) {
      const settled = write.sure && write.durable && write.endNs < oldestReadNs;
      if (settled && write.startNs > lastSureStart) lastSureStart = write.startNs;
    }
    this.writes = this.writes.filter((write) => write.endNs >= lastSureStart);
  }

  check(stamp: number, startNs: number, endNs: number, block: number): Violation | undefined {
    let violation: Violation | undefined;
    // Zeroes are written by many requests: the read is right when any of them explains it. The earliest that does says the
    // least about later reads, and nobody knows more.
    for (const write of this.writes) {
      if (write.stamp !== stamp) continue;
      violation = this.#checkAgainst(write, startNs, endNs, block);
      if (violation === undefined) return this.#checkOrder(write, startNs, endNs, block);
    }
    return (
      violation ?? { rule: "unknown", block, text: `stamp ${stamp} was never written here or was replaced long ago` }
    );
  }

  #checkAgainst(write: Write, startNs: number, endNs: number, block: number): Violation | undefined {
    const stamp = write.stamp;
    if (write.startNs > endNs) {
      return { rule: "future", block, text: `stamp ${stamp} was written after the read had ended` };
    }
    for (const other of this.writes) {
      if (other.sure && other !== write && other.startNs > write.endNs && other.endNs < startNs) {
        return {
          rule: "stale",
          block,
          text:
            `read ${startNs}..${endNs} gave stamp ${stamp} (written ${write.startNs}..${write.endNs}), ` +
            `but stamp ${other.stamp} was written ${other.startNs}..${other.endNs}`,
        };
      }
    }
    return undefined;
  }

  #checkOrder(write: Write, startNs: number, endNs: number, block: number): Violation | undefined {
    const newest = this.newest;
    if (newest !== undefined && newest.endNs < startNs && newest.write !== write && write.stamp !== ZERO) {
      // The earlier read saw a value whose write began after this one's write had ended: the disk went back in time.
      if (newest.write.startNs > write.endNs) {
        return {
          rule: "back",
          block,
          text: `stamp ${write.stamp} was read after stamp ${newest.write.stamp}, which was written later`,
        };
      }
    }
    if (startNs < this.lostNs) return undefined;
    if (newest === undefined || write.startNs > newest.write.startNs) this.newest = { write, endNs };
    return undefined;
  }
}

/** The histories of all blocks of one unit. */
export class History {
  readonly #blocks = new Map<number, BlockHistory>();

  #of(block: number): BlockHistory {
    let history = this.#blocks.get(block);
    if (history === undefined) {
      history = new BlockHistory();
      this.#blocks.set(block, history);
    }
    return history;
  }

  /** A write of `stamp` to `count` blocks from `block` was sent. The answer is told through the returned handle. */
  writeStarted(block: number, count: number, stamp: number, nowNs: number, fua: boolean): WriteHandle {
    const writes: Write[] = [];
    for (let i = 0; i < count; i++) {
      const write: Write = {
        stamp,
        startNs: nowNs,
        endNs: Infinity,
        sure: false,
        durable: false,
        fua,
        overtaken: false,
      };
      this.#of(block + i).add(write);
      writes.push(write);
    }
    return new WriteHandle(writes);
  }

  /** Checks one block of a read that was sent at `startNs` and answered at `endNs`. */
  read(block: number, stamp: number, startNs: number, endNs: number): Violation | undefined {
    return this.#of(block).check(stamp, startNs, endNs, block);
  }

  /** A flush that was sent at `startNs` was answered without an error: what had been answered by then is durable. */
  flushed(startNs: number): void {
    for (const { writes } of this.#blocks.values()) {
      for (const write of writes) if (write.sure && write.endNs < startNs) write.durable = true;
    }
  }

  /**
   * The array lost power and with it what only its volatile cache held: such writes may have happened or not. With an
   * array that has no volatile cache nothing changes, and this must not be called.
   */
  powerLost(nowNs: number): void {
    for (const history of this.#blocks.values()) {
      history.lostNs = nowNs;
      for (const write of history.writes) {
        if (write.durable) continue;
        write.sure = false;
        write.overtaken = true;
      }
      history.newest = undefined;
    }
  }

  /** Drops what no read can see any more. `oldestReadNs`: when the oldest read under way was sent. */
  prune(oldestReadNs: number): void {
    for (const history of this.#blocks.values()) history.prune(oldestReadNs);
  }
}

/** One write request, told to the history once it is answered. */
export class WriteHandle {
  readonly #writes: readonly Write[];

  constructor(writes: readonly Write[]) {
    this.#writes = writes;
  }

  /** Answered without an error: from now on it certainly happened, unless a loss of power may have undone it. */
  acknowledged(nowNs: number): void {
    for (const write of this.#writes) {
      write.endNs = nowNs;
      // Zeroes with FUA are two commands, and the power may be lost between them.
      write.sure = !write.overtaken || (write.fua && write.stamp !== ZERO);
      write.durable = write.fua && write.sure;
    }
  }

  /** Answered with an error: it happened before now, or never. */
  failed(nowNs: number): void {
    for (const write of this.#writes) write.endNs = nowNs;
  }
}
