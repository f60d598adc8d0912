// What the policies know of one unit, and where it lies.
//
// Structure of arrays: what a pick compares lies side by side for 32 slots, so that one SIMD load sees four of them.
// What only a completion touches lies in one record per slot and class, so that it is in one cache line.

import { PATHS_PER_UNIT_MAX } from "../abi";

/**
 * The fields in front of the arrays. Laid over SELECTION_BYTES of memory that start at a multiple of 16. What every
 * command touches is in the first cache line.
 */
@unmanaged
export class Selection {
  /** POLICY_*. */
  policy: u32;
  /** Slots that may be picked, a mask. */
  usable: u32;
  /** Round robin: position of the turn in `order`. Elsewhere: the slot that wins the next tie. */
  turn: u32;
  /** Adaptive: slots with commands that are long past their time, a mask. */
  overdue: u32;
  /** Commands that went out, mod 2^32. */
  issued: u32;
  /** What is to be done with each command beside counting it (selection.ts): bits. */
  duties: u32;
  /** A phase of learning ends when so many commands have gone out, */
  learnEnd: u32;
  /** Number of slots in `order`. */
  count: u32;
  /** and the rest after it at this time; 0 while learning: then there is more to do with every command. */
  phaseNs: u64;
  /** Adaptive: when an idle path is looked for next, ns. */
  retryAtNs: u64;
  parameter: u32;
  parameter2: u32;
  /** Slots that have a path, a mask. */
  present: u32;
  /** Slots in `order`, a mask: the usable ones, or those of them that the subset names. */
  scope: u32;
  /** Slots on which something happened, and which answered, since learning began, masks. */
  seen: u32;
  answered: u32;
  /** Until so many commands have gone out learning rests only once every path has shown what it can do. */
  settleEnd: u32;
  /** Adaptive: the next I/O may be spent on trying an idle path when so many commands have gone out. */
  retryNext: u32;
  /** State of the random numbers. */
  random: u64;
  /** Round robin: I/Os and bytes of the turn so far. */
  turnIos: u32;
  turnBytes: u32;
  /** Weighted: how far the slot picked last has come, the place where a slot joins that comes (back). */
  virtualTime: u32;
  /** Hedged reads (hedge.ts): budget in hundredths of a percent, and what is saved up. */
  hedgeBudget: u32;
  hedgeSaved: i32;
  /** Round robin: a turn ends with so many I/Os, or bytes. */
  turnIosMax: u32;
  turnBytesMax: u32;
  /** Historical service time: the part a mean takes in of a new sample. */
  historyPart: f32;
}

/**
 * Bytes a Selection needs, arrays behind the fields included. It starts at a multiple of 16 (SIMD loads) and is too
 * large for a unit record, so the units' Selections are a table of their own.
 */
export const SELECTION_BYTES: u32 = 9728;

/**
 * Classes of the learned service times: up to 8, 32, 128, 512 KiB and larger, each for reads and for writes, and one
 * for what transfers less than a block (flush, unmap).
 */
export const CLASSES: u32 = 11;

/** Bits of `duties`, beside LEARNING (phases.ts): the backlog is kept (adaptive); history is (historical service time). */
export const WEIGHING: u32 = 2;
export const HISTORY_KEPT: u32 = 4;

/** What a policy answers when this pick takes more than it usually does: the slot is then asked for the long way. */
export const LONG_WAY: u32 = u32.MAX_VALUE;

const ARRAY_BYTES: usize = <usize>PATHS_PER_UNIT_MAX * 4;
/** f32[5]: hedged reads: threshold in ns of each class of reads; u16[5]: how many were seen. */
export const HEDGE_THRESHOLD: usize = 128;
export const HEDGE_READS: usize = HEDGE_THRESHOLD + 20;
/** u8[32]: usable slots by priority, highest first. */
export const ORDER: usize = 160;
/** u8[32]: priority of each slot. */
export const PRIORITY: usize = 192;
/** u32[32]: commands in flight. */
export const IN_FLIGHT: usize = 256;
/** u32[32]: bytes in flight. */
export const IN_FLIGHT_BYTES: usize = IN_FLIGHT + ARRAY_BYTES;
/** u32[32]: weighted: how far each slot moves with each I/O, by its configured weight. */
export const STRIDE: usize = IN_FLIGHT_BYTES + ARRAY_BYTES;
/** f32[32]: 1 / weight. */
export const WEIGHT_INVERSE: usize = STRIDE + ARRAY_BYTES;
/** u32[32]: weighted: how far each slot has come; the smallest is next. */
export const PROGRESS: usize = WEIGHT_INVERSE + ARRAY_BYTES;
/** f32[32]: historical service time: mean in ns. */
export const HISTORY: usize = PROGRESS + ARRAY_BYTES;
/** f32[32]: historical service time: (in flight + 1) x mean. */
export const HISTORY_SCORE: usize = HISTORY + ARRAY_BYTES;
/** f32[32]: adaptive: expected ns until what is in flight is done. */
export const BACKLOG: usize = HISTORY_SCORE + ARRAY_BYTES;
/** u32[32]: 0 for usable slots, all ones for others. */
export const CLOSED: usize = BACKLOG + ARRAY_BYTES;
/** u32[32]: the same for a pick that may not use all usable slots. */
export const OPENED: usize = CLOSED + ARRAY_BYTES;
/** u64[32]: when a command last came back, or went out on an idle path, ns. */
const PROGRESS_NS: usize = OPENED + ARRAY_BYTES;
/** f32[CLASSES][32]: adaptive: learned service time in ns. */
export const COST: usize = PROGRESS_NS + 2 * ARRAY_BYTES;
/** u32[CLASSES][32]: adaptive: commands in flight. */
export const CLASS_IN_FLIGHT: usize = COST + <usize>CLASSES * ARRAY_BYTES;
/** Learning[32][CLASSES]. */
export const LEARNING: usize = CLASS_IN_FLIGHT + <usize>CLASSES * ARRAY_BYTES;
/** f32[32]: adaptive: 1 / number of commands the path works on at a time, as learned. */
export const SERVERS_INVERSE: usize = LEARNING + <usize>PATHS_PER_UNIT_MAX * <usize>CLASSES * 8;
/** Servers[32]. */
const SERVERS: usize = SERVERS_INVERSE + ARRAY_BYTES;
const END: usize = SERVERS + <usize>PATHS_PER_UNIT_MAX * 64;

/** What is known of one slot and one class beside its COST. */
@unmanaged
class Learning {
  /** Mean of the last few samples, to see a change early. */
  recent: f32;
  /** Number of samples the cost stands on, at most SAMPLES_MAX; 0: the cost is taken from elsewhere. */
  samples: u32;
}

/** How many commands a path works on at a time, and what that is learned from: decaying means of ns. */
@unmanaged
export class Servers {
  /** When a command last went out or came back. */
  eventNs: u64;
  /** Server time since the path answered last: its busy servers, as far as `count` says, times how long. */
  busyNs: f32;
  /** The number as learned, 1..SERVERS_MAX. */
  count: f32;
  /** Server time that commands are expected to take. */
  expectedNs: f32;
  /** Server time they took, and what was expected, over the last few answers only, to see a change early. */
  recentNs: f32;
  recentExpectedNs: f32;
  /** Commands that found a free server: time they took, and what was expected of it. */
  aloneNs: f32;
  aloneExpectedNs: f32;
  /** About the most commands that one which came back had overtaken. */
  overtaking: f32;
  /** Mean number of commands in flight when one came back, itself included. */
  queue: f32;
  /** Commands that came back, mod 2^32. */
  answers: u32;
  /** Number of samples behind the means. */
  samples: u32;
  aloneSamples: u32;
  /** Unused; a record is a cache line. */
  spare: u64;
}

/** Checked once per unit; a constant expression cannot fail the build here. */
export function layoutCheck(): void {
  assert(END <= <usize>SELECTION_BYTES);
  assert(offsetof<Selection>("parameter") <= 64);
  assert(offsetof<Selection>() <= HEDGE_THRESHOLD);
  assert(offsetof<Learning>() === 8);
  assert(offsetof<Servers>() === 64);
  assert((SERVERS_INVERSE & 15) === 0);
}

/** Address of the entry of a slot in an array of 4-byte entries. */
export function entryAt(s: Selection, array: usize, slot: u32): usize {
  return changetype<usize>(s) + array + ((<usize>slot) << 2);
}

/** Base of the 4-byte entries of a slot: an array's offset, given to the load as a constant, costs nothing. */
export function entriesOf(s: Selection, slot: u32): usize {
  return changetype<usize>(s) + ((<usize>slot) << 2);
}

/** Address of the learned service time of a slot for a class. */
export function costAt(s: Selection, slot: u32, sizeClass: u32): usize {
  return entriesOfClass(entriesOf(s, slot), sizeClass) + COST;
}

/** Base of the entries of a slot in the arrays that have 32 entries for each class. */
export function entriesOfClass(entries: usize, sizeClass: u32): usize {
  return entries + ((<usize>sizeClass) << 7);
}

export function learningAt(s: Selection, slot: u32, sizeClass: u32): Learning {
  return changetype<Learning>(changetype<usize>(s) + LEARNING + ((<usize>(slot * CLASSES + sizeClass)) << 3));
}

export function serversAt(s: Selection, slot: u32): Servers {
  return changetype<Servers>(changetype<usize>(s) + SERVERS + ((<usize>slot) << 6));
}

/** Address of the time of the last sign of life of a slot. */
export function progressAt(s: Selection, slot: u32): usize {
  return changetype<usize>(s) + PROGRESS_NS + ((<usize>slot) << 3);
}

/** Class of a command: 0..4 reads, 5..9 writes, by size; 10 what transfers less than a block. */
export function classOf(bytes: u32, write: bool): u32 {
  if (bytes < 512) return CLASSES - 1;
  const size = min<u32>((32 - <u32>clz((bytes - 1) >> 12)) >> 1, 4);
  return write ? size + 5 : size;
}
