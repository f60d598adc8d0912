// The content of the array's medium, read directly instead of over paths: at the moment of an answer it shows whether the
// answer's promise holds.

import { SparseMedium, type Medium } from "../../host/array/medium.ts";
import type { LogicalUnit } from "../../host/array/array-unit.ts";
import { Sight, type Layout } from "./blocks.ts";
import type { Cells, Found, History, Violation } from "./history.ts";

/** Bytes that are read at once. */
const SCAN_BYTES = 1 << 18;

/** The content of a cell as found in a sight. */
export function foundIn(sight: Sight, layout: Layout, cell: number): Found {
  const offset = layout.offsetOf(cell);
  const bytes = layout.bytesOf(cell);
  const stamp = sight.stampOf(offset, bytes);
  return {
    stamp,
    certain: sight.certain(offset, bytes, stamp),
    holds: (other) => sight.holds(offset, bytes, other),
  };
}

export class Witness {
  readonly #real: LogicalUnit;
  readonly #number: number;
  readonly #layout: Layout;
  readonly #history: History;
  readonly #violation: (text: string) => void;
  readonly #buffer = new Uint8Array(SCAN_BYTES);

  constructor(real: LogicalUnit, number: number, layout: Layout, history: History, violation: (text: string) => void) {
    this.#real = real;
    this.#number = number;
    this.#layout = layout;
    this.#history = history;
    this.#violation = violation;
  }

  /** A write was acknowledged: a read right after it returns its data, or that of a later write. */
  acknowledged(cells: Cells, nowNs: number): void {
    this.#look(this.#real.medium, cells, (cell, found) => this.#history.read(cell, found, nowNs + 0.5, nowNs + 0.5));
  }

  /** A write is durable: the medium holds its data, or that of a later write, whatever happens to the cache. */
  durable(cells: Cells): void {
    this.#look(this.#real.stable, cells, (cell, found) => this.#history.medium(cell, found));
  }

  /** Checks everything that was ever written, and that nothing is where nobody has written. */
  everything(nowNs: number): void {
    const written = this.#history.written();
    for (let i = 0; i < written.length;) {
      const first = written[i] ?? 0;
      let count = 1;
      while (written[i + count] === first + count) count++;
      this.acknowledged({ first, count }, nowNs);
      this.durable({ first, count });
      i += count;
    }
    this.#strays(new Set(written));
  }

  #strays(written: ReadonlySet<number>): void {
    const { stable } = this.#real;
    if (!(stable instanceof SparseMedium)) return;
    for (const [offset, data] of stable.pieces()) {
      const sight = new Sight(data, this.#number, offset);
      const first = (offset / this.#layout.blockBytes) * this.#layout.cellsPerBlock;
      for (let cell = first; this.#layout.offsetOf(cell) < offset + data.length; cell++) {
        const at = this.#layout.offsetOf(cell);
        const bytes = this.#layout.bytesOf(cell);
        if (!written.has(cell) && !sight.zero(at, bytes)) this.#tell("stray", cell, sight.describe(at, bytes));
      }
    }
  }

  #look(medium: Medium, { first, count }: Cells, check: (cell: number, found: Found) => Violation | undefined): void {
    const { blockBytes, cellsPerBlock } = this.#layout;
    const blocksMax = SCAN_BYTES / blockBytes;
    const endBlock = Math.ceil((first + count) / cellsPerBlock);
    for (let block = Math.floor(first / cellsPerBlock); block < endBlock; block += blocksMax) {
      const blocks = Math.min(blocksMax, endBlock - block);
      const offset = block * blockBytes;
      medium.read(this.#buffer, 0, offset | 0, Math.floor(offset / 0x1_0000_0000), blocks * blockBytes);
      const sight = new Sight(this.#buffer, this.#number, offset);
      const end = Math.min(first + count, (block + blocks) * cellsPerBlock);
      for (let cell = Math.max(first, block * cellsPerBlock); cell < end; cell++) {
        const violation = check(cell, foundIn(sight, this.#layout, cell));
        if (violation === undefined) continue;
        const at = this.#layout.offsetOf(cell);
        this.#tell(violation.rule, cell, `${violation.text}; ${sight.describe(at, this.#layout.bytesOf(cell))}`);
        return;
      }
    }
  }

  #tell(rule: string, cell: number, text: string): void {
    this.#violation(`unit ${this.#number} cell ${cell}: on the medium: ${rule}: ${text}`);
  }
}
