// The interface between dispatch and the policies.
//
// Dispatch asks `pick` for a slot, tells `started` when a command goes out on it and `finished` when it came back.
// Which slots may be picked at all (enabled, healthy, right ALUA group, not suspected) is the state machine's business:
// it sets the usable mask, and a policy never sees an empty set.

import { PATHS_PER_UNIT_MAX, POLICY_COUNT, POLICY_ROUND_ROBIN, POLICY_STATIC, ERROR_RANGE } from "../abi";

/** What the policies know of one unit. Laid over memory that belongs to the unit; all zero at first. */
@unmanaged
export class Selection {
  policy: u32;
  parameter: u32;
  parameter2: u32;
  /** Slots that may be picked, a mask. */
  usable: u32;
  /** Position of the turn, in `order`. */
  turn: u32;
  /** Number of slots in `order`. */
  count: u32;
}

/**
 * Bytes a Selection needs, arrays behind the fields included. It starts at a multiple of 16 (SIMD loads) and is too
 * large for a unit record, so the units' Selections are a table of their own.
 */
export const SELECTION_BYTES: u32 = 8192;
const ORDER: usize = 32;
const PRIORITY: usize = 64;

/**
 * Prepares the Selection of a new unit; nothing may be in flight.
 * @param seed seed of the random numbers of this unit; same seed, same decisions
 */
export function selectionInit(s: Selection, seed: u64): void {
  memory.fill(changetype<usize>(s), 0, SELECTION_BYTES);
}

/** Chooses the policy. Answers 0, or a negated ERROR_RANGE when there is no such policy; the old one then stays. */
export function selectionSetPolicy(s: Selection, policy: u32): i32 {
  if (policy >= POLICY_COUNT) return -(<i32>ERROR_RANGE);
  s.policy = policy;
  s.turn = 0;
  return 0;
}

/**
 * Sets a parameter of the policy in force (UNIT_SET_POLICY_PARAMETER: index 0, UNIT_SET_POLICY_PARAMETER_2: index 1).
 * Answers 0, or a negated ERROR_RANGE when the policy does not take the value; the old one then stays.
 */
export function selectionSetParameter(s: Selection, index: u32, value: u32): i32 {
  if (index > 1) return -(<i32>ERROR_RANGE);
  if (index === 0) s.parameter = value;
  else s.parameter2 = value;
  return 0;
}

/** Forgets a slot whose path was removed (nothing is in flight on it any more), with all that was learned of it. */
export function selectionClearPath(s: Selection, slot: u32): void {
  store<u8>(changetype<usize>(s) + PRIORITY + slot, 0);
}

/** Learned service time of a slot in ns, 0 until learned (PATH_SERVICE_NS). */
export function selectionServiceNs(s: Selection, slot: u32): u32 {
  return 0;
}

/**
 * Tells the priority (1..254) and the weight (1..65535) of a slot. Called whenever one changes and when a path is added. Answers 0,
 * or a negated ERROR_RANGE when the weight is 0 or over 65535; priority and weight then stay what they were.
 */
export function selectionSetPath(s: Selection, slot: u32, priority: u32, weight: u32): i32 {
  if (weight === 0 || weight > 65535) return -(<i32>ERROR_RANGE);
  store<u8>(changetype<usize>(s) + PRIORITY + slot, <u8>priority);
  rebuild(s);
  return 0;
}

/** Tells which slots may be picked from now on. */
export function selectionSetUsable(s: Selection, usable: u32): void {
  s.usable = usable;
  rebuild(s);
}

/** Sorts the usable slots by priority, highest first. */
function rebuild(s: Selection): void {
  const order = changetype<usize>(s) + ORDER;
  const priority = changetype<usize>(s) + PRIORITY;
  let count: u32 = 0;
  for (let rest = s.usable; rest !== 0; rest &= rest - 1) {
    const slot = ctz(rest);
    let at = count;
    while (at > 0 && load<u8>(priority + load<u8>(order + at - 1)) < load<u8>(priority + slot)) {
      store<u8>(order + at, load<u8>(order + at - 1));
      at--;
    }
    store<u8>(order + at, <u8>slot);
    count++;
  }
  s.count = count;
  if (s.turn >= count) s.turn = 0;
}

/**
 * Chooses the slot of the next command.
 * @param allowed slots this command may use (usable ones it has not failed on), never empty within `usable`
 * @param bytes bytes the command transfers
 * @param write whether it writes
 * @param affinity number of the connection it came by
 * @returns the slot; it is in `allowed & usable`
 */
export function pick(s: Selection, allowed: u32, bytes: u32, write: bool, affinity: u32, nowNs: u64): u32 {
  assert((s.usable & allowed) !== 0);
  const order = changetype<usize>(s) + ORDER;
  let at: u32 = s.policy === POLICY_ROUND_ROBIN ? s.turn : 0;
  for (let i: u32 = 0; i < s.count; i++) {
    const slot = <u32>load<u8>(order + at);
    at = at + 1 >= s.count ? 0 : at + 1;
    if ((allowed >> slot) & 1) {
      if (s.policy !== POLICY_STATIC) s.turn = at;
      return slot;
    }
  }
  assert(false);
  return 0;
}

/** A command of `bytes` went out on `slot`. */
export function started(s: Selection, slot: u32, bytes: u32, write: bool, nowNs: u64): void {}

/**
 * A command that was `started` came back (or was given up as a ghost: then `good` is false).
 * @param latencyNs time since it went out
 */
export function finished(
  s: Selection,
  slot: u32,
  bytes: u32,
  write: bool,
  latencyNs: u64,
  good: bool,
  nowNs: u64,
): void {}

/** The slots that carry I/O now, a mask: what `>` shows. Static: the highest usable; others: every usable one. */
export function inUse(s: Selection): u32 {
  if (s.count === 0) return 0;
  const first = <u32>load<u8>(changetype<usize>(s) + ORDER);
  return s.policy === POLICY_STATIC ? 1 << first : s.usable;
}
