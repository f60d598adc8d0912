// The requests that a client sends: mostly valid ones, now and then invalid ones.

import type { Layout } from "./blocks.ts";
import { PAYLOAD_BYTES_MAX, refusals, type Agreement, type Offer } from "./expected.ts";
import type { Cells } from "./history.ts";
import type { Random } from "./random.ts";
import { NBD, type Header } from "./wire.ts";

/** Relative frequency of each kind of request. */
export interface Mix {
  readonly read: number;
  readonly write: number;
  readonly flush: number;
  readonly zero: number;
  readonly trim?: number;
  readonly cache?: number;
  readonly status?: number;
  /** Invalid requests. */
  readonly wrong?: number;
}

/** Where requests go, and how large they are. */
export interface Ground {
  readonly layout: Layout;
  readonly offer: Offer;
  /** Cells in use, in some places of the unit. */
  readonly windows: readonly Cells[];
  readonly cellsMax: number;
  /** Sizes up to `cellsMax` are equally likely by order of magnitude, not by size. */
  readonly logarithmic: boolean;
}

/** A request to be sent: its header, and the cells that it covers. */
export interface Draft extends Cells {
  readonly header: Header;
}

const COMMANDS = {
  read: NBD.read,
  write: NBD.write,
  flush: NBD.flush,
  zero: NBD.writeZeroes,
  trim: NBD.trim,
  cache: NBD.cache,
  status: NBD.blockStatus,
} as const;

function pickKind(mix: Mix, random: Random): keyof Mix {
  const parts = Object.entries(mix) as [keyof Mix, number][];
  let dice = random.real() * parts.reduce((sum, [, part]) => sum + part, 0);
  for (const [kind, part] of parts) {
    dice -= part;
    if (dice < 0) return kind;
  }
  return "read";
}

/** @param whole only whole blocks */
function pickCells(ground: Ground, random: Random, whole: boolean): Cells {
  const cells = pickAny(ground, random);
  const { cellsPerBlock } = ground.layout;
  if (!whole || cellsPerBlock === 1) return cells;
  const first = cells.first - (cells.first % cellsPerBlock);
  const end = Math.ceil((cells.first + cells.count) / cellsPerBlock) * cellsPerBlock;
  return { first, count: end - first };
}

function pickAny(ground: Ground, random: Random): Cells {
  const window = random.pick(ground.windows);
  const most = Math.min(ground.cellsMax, window.count);
  const count = ground.logarithmic
    ? Math.min(most, Math.floor(Math.exp(random.real() * Math.log(most + 1))))
    : random.between(1, most);
  return { count, first: window.first + random.between(0, window.count - count) };
}

function flagsFor(command: number, agreed: Agreement, random: Random): number {
  let flags = random.chance(command === NBD.write || command === NBD.writeZeroes || command === NBD.trim ? 0.2 : 0.05)
    ? NBD.flagFua
    : 0;
  if (command === NBD.writeZeroes) {
    if (random.chance(0.5)) flags |= NBD.flagNoHole;
    if (agreed.fastZero && random.chance(0.3)) flags |= NBD.flagFastZero;
  }
  if (command === NBD.read && agreed.replies !== "simple" && random.chance(0.2)) flags |= NBD.flagDf;
  if (command === NBD.blockStatus && random.chance(0.3)) flags |= NBD.flagReqOne;
  if (command === NBD.write && agreed.replies === "extended") flags |= NBD.flagPayload;
  return flags;
}

/** The next request of a client. */
export function draft(mix: Mix, ground: Ground, agreed: Agreement, random: Random): Draft {
  const kind = pickKind(mix, random);
  if (kind === "wrong") {
    for (;;) {
      const header = wrong(ground, agreed, random);
      if (refusals(header, agreed, ground.offer).size > 0) return { first: 0, count: 0, header };
    }
  }
  const command = COMMANDS[kind];
  const cells = kind === "flush" ? { first: 0, count: 0 } : pickCells(ground, random, !agreed.unaligned);
  return { ...cells, header: headerFor(command, flagsFor(command, agreed, random), cells, ground.layout) };
}

/** The header of a request for whole cells. */
export function headerFor(command: number, flags: number, { first, count }: Cells, layout: Layout): Header {
  const offset = count === 0 ? 0 : layout.offsetOf(first);
  return { command, flags, offset: BigInt(offset), bytes: count === 0 ? 0 : layout.offsetOf(first + count) - offset };
}

/** A request that has to be refused; writes are small, unless their size is what is invalid. */
function wrong(ground: Ground, agreed: Agreement, random: Random): Header {
  const { layout } = ground;
  const block = layout.blockBytes;
  const size = BigInt(ground.offer.bytes);
  const command = random.pick([NBD.read, NBD.write, NBD.trim, NBD.cache, NBD.writeZeroes, NBD.blockStatus]);
  const good = headerFor(command, 0, { first: ground.windows[0]?.first ?? 0, count: layout.cellsPerBlock }, layout);
  return random.pick<() => Header>([
    // An unknown command, or one that was not offered.
    () => ({ ...good, command: random.pick([8, 9, 255, 256, 65_535]) }),
    () => ({ ...good, command: agreed.allocation ? 8 : NBD.blockStatus }),
    // A flag that is not valid for this command, or for any.
    () => ({ ...good, flags: 1 << random.between(6, 15) }),
    () => ({ ...good, command: NBD.read, flags: random.pick([NBD.flagNoHole, NBD.flagReqOne, NBD.flagFastZero]) }),
    () => ({ ...good, command: NBD.writeZeroes, flags: NBD.flagDf }),
    // It reaches beyond the end: with its last block, completely, or so far that sums overflow.
    () => ({ ...good, offset: size - BigInt(block), bytes: 2 * block }),
    () => ({ ...good, offset: size, bytes: block }),
    () => ({ ...good, offset: 0xffff_ffff_ffff_f000n, bytes: random.pick([4096, 8192]) }),
    () => ({ ...good, offset: 1n << 63n }),
    // It is too large; a payload of this size is rare.
    () => ({
      ...good,
      command: ground.logarithmic ? NBD.write : NBD.read,
      offset: 0n,
      bytes: PAYLOAD_BYTES_MAX + block,
    }),
    () => ({ ...good, command: NBD.read, flags: 0, offset: 0n, bytes: PAYLOAD_BYTES_MAX + block }),
    () => ({ ...good, offset: good.offset + 1n }),
    () => ({ ...good, bytes: good.bytes - 1 }),
  ])();
}
