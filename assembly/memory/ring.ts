// The four rings from the core's side: it fills the two submission rings and the event ring, and empties the completion ring.
//
// A tag is kind (4 bits), generation (8 bits), index (20 bits). A record's generation changes with each submission, so a stale,
// repeated or invented completion is recognised, counted and ignored.

import {
  COMPLETION_BYTES,
  CONTROL_ARRAY_QUEUE,
  CONTROL_COMPLETION_QUEUE,
  CONTROL_DEADLINE_NS,
  CONTROL_EVENTS_LOST,
  CONTROL_EVENT_QUEUE,
  CONTROL_NATIVE_QUEUE,
  CONTROL_NOW_NS,
  CONTROL_WAITING_NS,
  EVENT_ARG0,
  EVENT_ARG1,
  EVENT_BYTES,
  EVENT_HOST_STATUS,
  EVENT_KIND,
  EVENT_PATH,
  EVENT_REASON,
  EVENT_SENSE,
  EVENT_TIME_NS,
  EVENT_UNIT,
  RING_BASE,
  RING_CAPACITY,
  RING_HEAD,
  RING_TAIL,
  SUBMISSION_ADDRESS,
  SUBMISSION_BYTES,
  SUBMISSION_FLAGS,
  SUBMISSION_HANDLE,
  SUBMISSION_LENGTH,
  SUBMISSION_OP,
  SUBMISSION_TAG,
} from "../abi";
import { control } from "./memory";
import { MILLISECOND, NEVER, SECOND } from "./time";
import { timersNext } from "./timers";

/** No handle. */
export const NONE: u32 = <u32>-1;

export const TAG_COMMAND: u32 = 1;
export const TAG_RECV: u32 = 2;
export const TAG_SEND: u32 = 3;
export const TAG_CLOSE: u32 = 4;
export const TAG_RESET: u32 = 5;
export const TAG_WATCH: u32 = 6;

/**
 * The time of this turn, ns. It never goes back, whatever the host's clock does, and does not include time in which the host
 * stood still (a stopped process, a suspended machine): otherwise answers that are ready would miss deadlines although nobody
 * could have fetched them. So it lags behind the host's clock by `stoodNs`.
 */
export let now: u64 = 0;
/** The same in the host's time, for what the host reads. */
export let hostNow: u64 = 0;
let stoodNs: u64 = 0;
/** How late a turn may come; anything more counts as standing still. */
const LATE_NS: u64 = SECOND;
/**
 * Time in which the host was busy for longer than a turn usually takes, and fetched no answers: a first read into untouched
 * memory, a large reply, a call by control. Silence of paths is measured without it; deadlines are not, or a busy host would
 * never reach them.
 */
export let busyNs: u64 = 0;
/** Turns up to this long are not worth counting. */
const TURN_NS: u64 = MILLISECOND;
/** Completions that matched nothing. */
export let strayCompletions: u64 = 0;

/** Reads the host's clock. */
export function readClock(): void {
  const hostNs = load<u64>(control + CONTROL_NOW_NS);
  if (hostNs <= hostNow) return;
  // The last turn began at the previous reading of the clock, and ended when the host began to wait, if it reports that.
  const endedNs = min(load<u64>(control + CONTROL_WAITING_NS), hostNs);
  const workedNs = endedNs > hostNow + TURN_NS ? endedNs - hostNow - TURN_NS : 0;
  const beforeNs = now;
  hostNow = hostNs;
  const latestNs = timersNext() + LATE_NS;
  if (timersNext() !== NEVER && hostNs - stoodNs > latestNs) stoodNs = hostNs - latestNs;
  now = max(now, hostNs - stoodNs);
  busyNs += min(workedNs, now - beforeNs);
}

/** When the next turn is due, in the host's time; `soon`: without waiting. */
export function promiseNext(soon: bool): void {
  if (soon) return store<u64>(control + CONTROL_DEADLINE_NS, hostNow);
  const dueNs = timersNext();
  store<u64>(control + CONTROL_DEADLINE_NS, dueNs === NEVER ? NEVER : dueNs + stoodNs);
}

/** A time of the host in the core's time. */
export function coreTime(hostNs: u64): u64 {
  return hostNs > stoodNs ? hostNs - stoodNs : 0;
}

/** Counts a completion that matched nothing. */
export function countStray(): void {
  strayCompletions++;
}

const TAG_KIND_SHIFT: u32 = 28;
const TAG_GENERATION_SHIFT: u32 = 20;
const TAG_INDEX_MASK: u32 = (1 << 20) - 1;

export function makeTag(kind: u32, generation: u8, index: u32): u32 {
  return (kind << TAG_KIND_SHIFT) | ((<u32>generation) << TAG_GENERATION_SHIFT) | index;
}

/** TAG_* of a tag. */
export function tagKind(tag: u32): u32 {
  return tag >> TAG_KIND_SHIFT;
}

export function tagGeneration(tag: u32): u8 {
  return <u8>(tag >> TAG_GENERATION_SHIFT);
}

export function tagIndex(tag: u32): u32 {
  return tag & TAG_INDEX_MASK;
}

/** Address of the next entry. Submission rings are never full, see memory.ts. */
function nextEntry(descriptor: usize, bytes: u32): usize {
  const tail = load<u32>(descriptor + RING_TAIL);
  const capacity = load<u32>(descriptor + RING_CAPACITY);
  assert(tail - load<u32>(descriptor + RING_HEAD) < capacity);
  return <usize>load<u32>(descriptor + RING_BASE) + <usize>(tail & (capacity - 1)) * bytes;
}

/** The position after the newest entry of the native queue. */
export function submissionsTail(): u32 {
  return load<u32>(control + CONTROL_NATIVE_QUEUE + RING_TAIL);
}

/** Whether the host has taken everything before that position. */
export function submissionsTaken(tail: u32): bool {
  return <i32>(load<u32>(control + CONTROL_NATIVE_QUEUE + RING_HEAD) - tail) >= 0;
}

/** Submits an operation; `array` selects one of the two rings. */
export function submit(array: bool, op: u32, flags: u32, tag: u32, handle: u32, address: usize, length: u32): void {
  const descriptor = control + <usize>(array ? CONTROL_ARRAY_QUEUE : CONTROL_NATIVE_QUEUE);
  const entry = nextEntry(descriptor, SUBMISSION_BYTES);
  store<u32>(entry + SUBMISSION_OP, op | (flags << (8 * (SUBMISSION_FLAGS - SUBMISSION_OP))));
  store<u32>(entry + SUBMISSION_TAG, tag);
  store<u32>(entry + SUBMISSION_HANDLE, handle);
  store<u32>(entry + SUBMISSION_ADDRESS, <u32>address);
  store<u32>(entry + SUBMISSION_LENGTH, length);
  store<u32>(descriptor + RING_TAIL, load<u32>(descriptor + RING_TAIL) + 1);
}

/** The next completion, or 0. */
export function completionFirst(): usize {
  const descriptor = control + CONTROL_COMPLETION_QUEUE;
  const head = load<u32>(descriptor + RING_HEAD);
  if (head === load<u32>(descriptor + RING_TAIL)) return 0;
  const mask = load<u32>(descriptor + RING_CAPACITY) - 1;
  return <usize>load<u32>(descriptor + RING_BASE) + <usize>(head & mask) * COMPLETION_BYTES;
}

/** Done with the completion returned by `completionFirst`. */
export function completionTaken(): void {
  const descriptor = control + CONTROL_COMPLETION_QUEUE;
  store<u32>(descriptor + RING_HEAD, load<u32>(descriptor + RING_HEAD) + 1);
}

/**
 * Sends control an event. `sense` is status, key, ASC, ASCQ in the order of EVENT_SENSE. If control is slow, the newest events
 * are lost, and counted.
 */
export function event(
  kind: u32,
  reason: u32,
  unit: u32,
  path: u32,
  arg0: u32,
  arg1: u32,
  sense: u32,
  hostStatus: u16,
): void {
  const descriptor = control + CONTROL_EVENT_QUEUE;
  const tail = load<u32>(descriptor + RING_TAIL);
  if (tail - load<u32>(descriptor + RING_HEAD) >= load<u32>(descriptor + RING_CAPACITY)) {
    store<u64>(control + CONTROL_EVENTS_LOST, load<u64>(control + CONTROL_EVENTS_LOST) + 1);
    return;
  }
  const entry = nextEntry(descriptor, EVENT_BYTES);
  store<u16>(entry + EVENT_KIND, <u16>kind);
  store<u16>(entry + EVENT_REASON, <u16>reason);
  store<u32>(entry + EVENT_UNIT, unit);
  store<u32>(entry + EVENT_PATH, path);
  store<u32>(entry + EVENT_ARG0, arg0);
  store<u32>(entry + EVENT_ARG1, arg1);
  store<u64>(entry + EVENT_TIME_NS, hostNow);
  store<u32>(entry + EVENT_SENSE, sense);
  store<u16>(entry + EVENT_HOST_STATUS, hostStatus);
  store<u32>(descriptor + RING_TAIL, tail + 1);
}
