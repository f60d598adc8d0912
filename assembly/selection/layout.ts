// The policies' data about one unit, and its layout in memory.
//
// Structure of arrays: values that a pick compares are adjacent for all 32 slots, so one SIMD load reads four of them.
// Values that only a completion uses are in one record per slot and class, so they share a cache line.

import { PATHS_PER_UNIT_MAX } from "../abi";

/**
 * The fields in front of the arrays, at the start of SELECTION_BYTES of memory aligned to 16. Fields that every command uses
 * are in the first cache line.
 */
@unmanaged
export class Selection {
  /** POLICY_*. */
  policy: u32;
  /** Mask of the slots that may be picked. */
  usable: u32;
  /** Round robin: position of the turn in `order`. Other policies: the slot that wins the next tie. */
  turn: u32;
  /** Adaptive: mask of the slots with commands that are long overdue. */
  overdue: u32;
  /** Number of commands sent, mod 2^32. */
  issued: u32;
  /** What to do with each command besides counting it (selection.ts): bits. */
  duties: u32;
  /** A learning phase ends when `issued` reaches this number; */
  learnEnd: u32;
  /** Number of slots in `order`. */
  count: u32;
  /** the rest after it ends at this time; 0 while learning, when every command needs more work. */
  phaseNs: u64;
  /** Adaptive: when to look for an idle path next, ns. */
  retryAtNs: u64;
  parameter: u32;
  parameter2: u32;
  /** Mask of the slots that have a path. */
  present: u32;
  /** Mask of the slots in `order`: the usable ones, or the usable ones of the subset. */
  scope: u32;
  /** Masks of the slots with any activity, and with an answer, since learning began. */
  seen: u32;
  answered: u32;
  /** Until `issued` reaches this number, learning rests only once every path has enough samples. */
  settleEnd: u32;
  /** Adaptive: when `issued` reaches this number, the next I/O may be used to try an idle path. */
  retryNext: u32;
  /** State of the random number generator. */
  random: u64;
  /** Round robin: I/Os and bytes in the current turn so far. */
  turnIos: u32;
  turnBytes: u32;
  /** Weighted: progress of the slot picked last, where slots that join or return start. */
  virtualTime: u32;
  /** Hedged reads (hedge-budget.ts): budget in hundredths of a percent, and the unspent budget. */
  hedgeBudget: u32;
  hedgeSaved: i32;
  /** Round robin: a turn ends after this many I/Os or bytes. */
  turnIosMax: u32;
  turnBytesMax: u32;
  /** Historical service time: weight of a new sample in the mean. */
  historyPart: f32;
}

/**
 * Size of a Selection, including the arrays behind the fields. It is aligned to 16 (SIMD loads) and too large for a unit
 * record, so the units' Selections are in a table of their own.
 */
export const SELECTION_BYTES: u32 = 9728;

/**
 * Classes of the learned service times: up to 8, 32, 128, 512 KiB and larger, each for reads and for writes, and one for
 * commands that transfer less than a block (flush, unmap).
 */
export const CLASSES: u32 = 11;

/** Bits of `duties` besides LEARNING (phases.ts): keep the backlog (adaptive); keep the history (historical service time). */
export const WEIGHING: u32 = 2;
export const HISTORY_KEPT: u32 = 4;

/** Returned by a policy when this pick needs more than usual: the long way is then called. */
export const LONG_WAY: u32 = u32.MAX_VALUE;

const ARRAY_BYTES: usize = <usize>PATHS_PER_UNIT_MAX * 4;
/** f32[5]: hedged reads: threshold in ns of each class of reads; u16[5]: number of samples. */
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
/** u32[32]: weighted: how far each slot moves with each I/O, from its configured weight. */
export const STRIDE: usize = IN_FLIGHT_BYTES + ARRAY_BYTES;
/** f32[32]: 1 / weight. */
export const WEIGHT_INVERSE: usize = STRIDE + ARRAY_BYTES;
/** u32[32]: weighted: progress of each slot; the smallest is next. */
export const PROGRESS: usize = WEIGHT_INVERSE + ARRAY_BYTES;
/** f32[32]: historical service time: mean in ns. */
export const HISTORY: usize = PROGRESS + ARRAY_BYTES;
/** f32[32]: historical service time: (in flight + 1) x mean. */
export const HISTORY_SCORE: usize = HISTORY + ARRAY_BYTES;
/** f32[32]: adaptive: expected ns until the commands in flight are done. */
export const BACKLOG: usize = HISTORY_SCORE + ARRAY_BYTES;
/** u32[32]: 0 for usable slots, all ones for others. */
export const CLOSED: usize = BACKLOG + ARRAY_BYTES;
/** u32[32]: the same, for a pick that may not use all usable slots. */
export const OPENED: usize = CLOSED + ARRAY_BYTES;
/** u64[32]: time of the last completion, or of the command sent on an idle path, ns. */
const PROGRESS_NS: usize = OPENED + ARRAY_BYTES;
/** f32[CLASSES][32]: adaptive: learned service time in ns. */
export const COST: usize = PROGRESS_NS + 2 * ARRAY_BYTES;
/** u32[CLASSES][32]: adaptive: commands in flight. */
export const CLASS_IN_FLIGHT: usize = COST + <usize>CLASSES * ARRAY_BYTES;
/** Learning[32][CLASSES]. */
export const LEARNING: usize = CLASS_IN_FLIGHT + <usize>CLASSES * ARRAY_BYTES;
/** f32[32]: adaptive: 1 / learned number of commands that the path works on at a time. */
export const SERVERS_INVERSE: usize = LEARNING + <usize>PATHS_PER_UNIT_MAX * <usize>CLASSES * 8;
/** Servers[32]. */
const SERVERS: usize = SERVERS_INVERSE + ARRAY_BYTES;
const END: usize = SERVERS + <usize>PATHS_PER_UNIT_MAX * 64;

/** What is known about one slot and one class, besides its COST. */
@unmanaged
class Learning {
  /** Mean of the last few samples, to notice a change early. */
  recent: f32;
  /** Number of samples behind the cost, at most SAMPLES_MAX; 0: the cost was taken from elsewhere. */
  samples: u32;
}

/** The number of commands that a path works on at a time, and what it is learned from: decaying means in ns. */
@unmanaged
export class Servers {
  /** When a command was last sent or completed. */
  eventNs: u64;
  /** Server time since the path's last answer: the number of its busy servers according to `count`, times the duration. */
  busyNs: f32;
  /** The learned number, 1..SERVERS_MAX. */
  count: f32;
  /** Server time that commands are expected to take. */
  expectedNs: f32;
  /** Actual and expected server time over the last few answers only, to notice a change early. */
  recentNs: f32;
  recentExpectedNs: f32;
  /** Commands that found a free server: actual and expected time. */
  aloneNs: f32;
  aloneExpectedNs: f32;
  /** Approximate maximum number of commands that one command has overtaken. */
  overtaking: f32;
  /** Mean number of commands in flight at an answer, itself included. */
  queue: f32;
  /** Number of answers, mod 2^32. */
  answers: u32;
  /** Number of samples behind the means. */
  samples: u32;
  aloneSamples: u32;
  /** When it last answered, ns mod 2^32; how many answers came then so far, and how many will have, if it is like the time before. */
  answerNs: u32;
  together: u16;
  togetherExpected: u16;
}

/** Called once per unit, because a constant expression cannot fail the build here. */
export function layoutCheck(): void {
  assert(END <= <usize>SELECTION_BYTES);
  assert(offsetof<Selection>("parameter") <= 64);
  assert(offsetof<Selection>() <= HEDGE_THRESHOLD);
  assert(offsetof<Learning>() === 8);
  assert(offsetof<Servers>() === 64);
  assert((SERVERS_INVERSE & 15) === 0);
}

/** Address of a slot's entry in an array of 4-byte entries. */
export function entryAt(selection: Selection, array: usize, slot: u32): usize {
  return changetype<usize>(selection) + array + ((<usize>slot) << 2);
}

/** Base of a slot's 4-byte entries: an array's offset, given to the load as a constant, costs nothing. */
export function entriesOf(selection: Selection, slot: u32): usize {
  return changetype<usize>(selection) + ((<usize>slot) << 2);
}

/** Address of a slot's learned service time for a class. */
export function costAt(selection: Selection, slot: u32, sizeClass: u32): usize {
  return entriesOfClass(entriesOf(selection, slot), sizeClass) + COST;
}

/** Base of a slot's entries in the arrays that have 32 entries for each class. */
export function entriesOfClass(entries: usize, sizeClass: u32): usize {
  return entries + ((<usize>sizeClass) << 7);
}

export function learningAt(selection: Selection, slot: u32, sizeClass: u32): Learning {
  return changetype<Learning>(changetype<usize>(selection) + LEARNING + ((<usize>(slot * CLASSES + sizeClass)) << 3));
}

export function serversAt(selection: Selection, slot: u32): Servers {
  return changetype<Servers>(changetype<usize>(selection) + SERVERS + ((<usize>slot) << 6));
}

/** Address of the time of a slot's last progress (PROGRESS_NS). */
export function progressAt(selection: Selection, slot: u32): usize {
  return changetype<usize>(selection) + PROGRESS_NS + ((<usize>slot) << 3);
}

/** Class of a command: 0..4 reads, 5..9 writes, by size; 10 for transfers of less than a block. */
export function classOf(bytes: u32, write: bool): u32 {
  if (bytes < 512) return CLASSES - 1;
  const size = min<u32>((32 - <u32>clz((bytes - 1) >> 12)) >> 1, 4);
  return write ? size + 5 : size;
}
