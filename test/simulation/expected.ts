// The allowed answers to a request, error by error. They follow from the NBD protocol ("Request types", "Error values"),
// from the negotiation of the connection, and from the device's problems - not from the core.

import { reachesBeyond, type Ends } from "./sizes.ts";
import { NBD, type Header } from "./wire.ts";

/** Largest payload of a READ or WRITE that the server advertises. */
export const PAYLOAD_BYTES_MAX = 32 << 20;

/** What was negotiated when a client connected. */
export interface Agreement {
  readonly replies: "simple" | "structured" | "extended";
  readonly readOnly: boolean;
  /** TRIM, FAST_ZERO, and the context base:allocation. */
  readonly trim: boolean;
  readonly fastZero: boolean;
  readonly allocation: boolean;
  /** The client did not request block sizes. */
  readonly unaligned: boolean;
  /** The client uses the block door; its replies are simple, and it has only that door's features. */
  readonly block?: boolean;
}

/** Largest READ or WRITE of the block door. */
export const BLOCK_BYTES_MAX = 1 << 20;

/** The agreement of a client that requests block sizes and nothing else. */
export const AGREED: Agreement = {
  replies: "structured",
  readOnly: false,
  trim: false,
  fastZero: false,
  allocation: false,
  unaligned: false,
};

/** Properties of the export. */
export interface Offer {
  /** Of a unit that grows or shrinks: the most that it ever has. */
  readonly bytes: number;
  readonly blockBytes: number;
  /** Zeroing is faster than writing zeroes; or it is advertised as such, and a client that asks finds out that it is not. */
  readonly zeroesFast: "yes" | "no" | "it is said";
}

/** A problem of the device, and its effect on requests. */
export interface Trouble {
  /** When it starts, ns. */
  readonly fromNs: number;
  readonly untilNs: number;
  readonly unit: number | undefined;
  /** Blocks affected; undefined: all, whatever the request. */
  readonly blocks: { readonly first: number; readonly last: number } | undefined;
  readonly strikes: "writes" | "io" | "writes and flushes" | "everything";
  readonly error: number | "past the end";
  /** Whether it affects every matching command, on every path. */
  readonly always: boolean;
}

export const GOOD = 0;

function changes(command: number): boolean {
  return command === NBD.write || command === NBD.trim || command === NBD.writeZeroes;
}

/** Flags that are valid for a command. */
function flagsOf(command: number, agreed: Agreement): number {
  let flags: number = NBD.flagFua;
  if (command === NBD.read && agreed.replies !== "simple") flags |= NBD.flagDf;
  if (command === NBD.writeZeroes) flags |= NBD.flagNoHole | (agreed.fastZero ? NBD.flagFastZero : 0);
  if (command === NBD.blockStatus) flags |= NBD.flagReqOne;
  if (command === NBD.write && agreed.replies === "extended") flags |= NBD.flagPayload;
  return flags;
}

/** The answer to a request beyond the end. */
function pastEnd(command: number): number {
  return command === NBD.write || command === NBD.writeZeroes ? NBD.enospc : NBD.einval;
}

/** Errors for mistakes in the request itself: one of them has to be the answer. Empty: no mistakes. */
export function refusals(asked: Header, agreed: Agreement, offer: Offer): Set<number> {
  const errors = new Set<number>();
  const { command, flags, offset, bytes } = asked;
  const offered =
    command <= NBD.writeZeroes && (agreed.block !== true || command !== NBD.cache)
      ? command !== NBD.trim || agreed.trim || agreed.readOnly
      : command === NBD.blockStatus && agreed.allocation;
  if (!offered) return errors.add(NBD.einval);
  if ((flags & ~flagsOf(command, agreed)) !== 0) errors.add(NBD.einval);
  if (changes(command) && agreed.readOnly) errors.add(NBD.eperm);
  if (command === NBD.flush) return errors;
  const block = BigInt(offer.blockBytes);
  if (!agreed.unaligned && (offset % block !== 0n || bytes % offer.blockBytes !== 0)) errors.add(NBD.einval);
  if (reachesBeyond(asked, offer.bytes)) errors.add(pastEnd(command));
  if (command === NBD.blockStatus && bytes === 0) errors.add(NBD.einval);
  if (agreed.block === true) {
    if (bytes === 0) errors.add(NBD.einval);
    if (bytes > BLOCK_BYTES_MAX && (command === NBD.read || command === NBD.write)) errors.add(NBD.eoverflow);
  } else if (bytes > PAYLOAD_BYTES_MAX && (command === NBD.read || command === NBD.write)) {
    const large = command === NBD.write || (flags & NBD.flagDf) !== 0;
    errors.add(large ? NBD.eoverflow : NBD.einval);
  }
  if (isFast(asked) && agreed.fastZero && offer.zeroesFast === "no") errors.add(NBD.enotsup);
  return errors;
}

/** Whether a zeroing has to be fast, or fail. */
function isFast({ command, flags }: Header): boolean {
  return command === NBD.writeZeroes && (flags & NBD.flagFastZero) !== 0;
}

/** Number of whole blocks in a request; the others are written in any case, as parts of blocks. */
function wholeBlocks({ offset, bytes }: Header, blockBytes: number): number {
  const from = Number(offset);
  return Math.floor((from + bytes) / blockBytes) - Math.ceil(from / blockBytes);
}

/** Whether a trouble affects a request that was in progress from `fromNs` to `toNs`: not, perhaps, or all the time. */
function concerns(
  trouble: Trouble,
  asked: Header,
  unit: number,
  blockBytes: number,
  fromNs: number,
  toNs: number,
): 0 | 1 | 2 {
  const { command } = asked;
  if (trouble.unit !== undefined && trouble.unit !== unit) return 0;
  if (trouble.fromNs > toNs || trouble.untilNs < fromNs) return 0;
  const reads = command === NBD.read;
  const writes = changes(command);
  const flushes = command === NBD.flush || (writes && (asked.flags & NBD.flagFua) !== 0);
  const struck = {
    writes,
    io: reads || writes,
    "writes and flushes": writes || flushes,
    everything: reads || writes || flushes,
  }[trouble.strikes];
  if (!struck || (!flushes && asked.bytes === 0)) return 0;
  const { blocks } = trouble;
  if (blocks !== undefined) {
    const first = Math.floor(Number(asked.offset) / blockBytes);
    const last = Math.ceil((Number(asked.offset) + asked.bytes) / blockBytes) - 1;
    if (last < blocks.first || first > blocks.last) return 0;
  }
  const throughout = trouble.always && trouble.fromNs <= fromNs && trouble.untilNs >= toNs;
  // Hints need not be followed.
  const certain = reads || command === NBD.write;
  return throughout && certain && asked.bytes > 0 ? 2 : 1;
}

/**
 * Every allowed answer to a request that was in progress from `fromNs` to `toNs`: errors, and GOOD.
 *
 * @param ends where the unit ended in that time
 */
export function expected(
  asked: Header,
  agreed: Agreement,
  offer: Offer,
  unit: number,
  troubles: readonly Trouble[],
  fromNs: number,
  toNs: number,
  ends: Ends = { most: offer.bytes, least: offer.bytes, device: offer.bytes },
): Set<number> {
  const errors = refusals(asked, agreed, { ...offer, bytes: ends.most });
  const refused = errors.size > 0;
  if (reachesBeyond(asked, ends.least)) errors.add(pastEnd(asked.command));
  if (refused) return errors;
  const moves = asked.command === NBD.read || asked.command === NBD.write || asked.command === NBD.writeZeroes;
  let good = !moves || asked.bytes === 0 || !reachesBeyond(asked, ends.device);
  for (const trouble of troubles) {
    const how = concerns(trouble, asked, unit, offer.blockBytes, fromNs, toNs);
    if (how === 0) continue;
    errors.add(trouble.error === "past the end" ? pastEnd(asked.command) : trouble.error);
    if (how === 2) good = false;
  }
  if (isFast(asked) && offer.zeroesFast === "it is said") {
    errors.add(NBD.enotsup);
    good &&= wholeBlocks(asked, offer.blockBytes) <= 0;
  }
  if (good) errors.add(GOOD);
  return errors;
}
