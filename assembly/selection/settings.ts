// The settings of a unit's selection: its policy, its paths, and which of them may be picked. Called only between turns.

import { ERROR_RANGE, PATHS_PER_UNIT_MAX, POLICY_ADAPTIVE, POLICY_COUNT, POLICY_HISTORICAL_SERVICE_TIME } from "../abi";
import { POLICY_ROUND_ROBIN, POLICY_ROUND_ROBIN_SUBSET, POLICY_STATIC } from "../abi";
import { historyPart, seedHistory } from "./historical";
import { closeExcept } from "./scan";
import { CLASSES, CLOSED, costAt, HISTORY_KEPT, IN_FLIGHT, entryAt, layoutCheck, learningAt, ORDER } from "./layout";
import { PRIORITY, progressAt, Selection, SELECTION_BYTES, STRIDE, WEIGHING, WEIGHT_INVERSE } from "./layout";
import { forgetCosts } from "./learning";
import { learn, LEARNING, unsettle } from "./phases";
import { setTurn, TURN_IOS_MAX } from "./roundrobin";
import { forgetServers } from "./servers";
import { joinWeighted, strideOf, WEIGHT_MAX } from "./weighted";

/**
 * Prepares the Selection of a new unit; no commands may be in flight.
 * @param seed seed of this unit's random numbers; the same seed gives the same decisions
 */
export function selectionInit(s: Selection, seed: u64): void {
  layoutCheck();
  assert((changetype<usize>(s) & 15) === 0);
  memory.fill(changetype<usize>(s), 0, SELECTION_BYTES);
  s.random = seed;
  for (let slot: u32 = 0; slot < PATHS_PER_UNIT_MAX; slot++) selectionClearPath(s, slot);
  learn(s);
}

/**
 * Sets the policy, with default parameters. Takes effect with the next I/O; commands in flight stay accounted.
 * @returns 0, or a negated ERROR_RANGE when there is no such policy; the old policy then stays
 */
export function selectionSetPolicy(s: Selection, policy: u32): i32 {
  return selectionConfigure(s, policy, 0, 0);
}

/**
 * Sets policy and parameters in one step: all or nothing.
 *
 * | policy | parameter | parameter2 |
 * |---|---|---|
 * | round robin | I/Os per turn, 0..1000000; 0 and 1: one | bytes per turn; 0: no limit by bytes |
 * | round robin over a subset | mask of slots; 0: all | I/Os per turn, 0..1000000 |
 * | historical service time | weight of history in percent, 1..99; 0: 95 | 0 |
 * | all others | 0 | 0 |
 *
 * @returns 0, or a negated ERROR_RANGE: no such policy, a parameter out of range, or a subset without a path of the unit;
 * the old policy and parameters then stay. A subset without a usable path is valid: the other paths are used until it has
 * one
 */
export function selectionConfigure(s: Selection, policy: u32, parameter: u32, parameter2: u32): i32 {
  if (!possible(s, policy, parameter, parameter2)) return -(<i32>ERROR_RANGE);
  s.policy = policy;
  s.parameter = parameter;
  s.parameter2 = parameter2;
  s.turn = 0;
  setDuties(s);
  setTurn(s);
  rebuild(s);
  joinWeighted(s, s.present);
  for (let slot: u32 = 0; slot < PATHS_PER_UNIT_MAX; slot++) seedHistory(s, slot, selectionServiceNs(s, slot));
  return 0;
}

function possible(s: Selection, policy: u32, parameter: u32, parameter2: u32): bool {
  if (policy === POLICY_ROUND_ROBIN) return parameter <= TURN_IOS_MAX;
  if (policy === POLICY_ROUND_ROBIN_SUBSET) {
    return (parameter === 0 || s.present === 0 || (parameter & s.present) !== 0) && parameter2 <= TURN_IOS_MAX;
  }
  if (policy === POLICY_HISTORICAL_SERVICE_TIME) return parameter <= 99 && parameter2 === 0;
  return policy < POLICY_COUNT && parameter === 0 && parameter2 === 0;
}

/**
 * Sets a parameter of the current policy (UNIT_SET_POLICY_PARAMETER: index 0, UNIT_SET_POLICY_PARAMETER_2: index 1). Returns
 * 0, or a negated ERROR_RANGE when the policy does not accept the value; the old value then stays.
 */
export function selectionSetParameter(s: Selection, index: u32, value: u32): i32 {
  if (index > 1) return -(<i32>ERROR_RANGE);
  return selectionConfigure(s, s.policy, index === 0 ? value : s.parameter, index === 1 ? value : s.parameter2);
}

/** Forgets a slot whose path was removed (and has no commands in flight), with everything learned about it. */
export function selectionClearPath(s: Selection, slot: u32): void {
  assert(load<u32>(entryAt(s, IN_FLIGHT, slot)) === 0);
  s.present &= ~(1 << slot);
  s.usable &= ~(1 << slot);
  store<u8>(changetype<usize>(s) + PRIORITY + slot, 0);
  store<u32>(entryAt(s, STRIDE, slot), strideOf(1));
  store<f32>(entryAt(s, WEIGHT_INVERSE, slot), 1);
  store<u64>(progressAt(s, slot), 0);
  seedHistory(s, slot, 0);
  forgetCosts(s, slot);
  forgetServers(s, slot);
  unsettle(s);
  rebuild(s);
}

/** Learned service time of a slot's most sampled class in ns (PATH_SERVICE_NS); 0 until learned. */
export function selectionServiceNs(s: Selection, slot: u32): u32 {
  let samples: u32 = 0;
  let serviceNs: f32 = 0;
  for (let sizeClass: u32 = 0; sizeClass < CLASSES; sizeClass++) {
    const known = learningAt(s, slot, sizeClass);
    if (known.samples <= samples) continue;
    samples = known.samples;
    serviceNs = load<f32>(costAt(s, slot, sizeClass));
  }
  return serviceNs >= 4294967040 ? u32.MAX_VALUE : <u32>serviceNs;
}

/** Commands in flight on a slot, as reported by `started` and `finished`. */
export function selectionInFlight(s: Selection, slot: u32): u32 {
  return load<u32>(entryAt(s, IN_FLIGHT, slot));
}

/**
 * Sets the priority (1..254) and the weight (1..65535) of a slot. Called whenever one changes and when a path is added.
 * @returns 0, or a negated ERROR_RANGE when a value is out of range; priority and weight then stay unchanged
 */
export function selectionSetPath(s: Selection, slot: u32, priority: u32, weight: u32): i32 {
  if (slot >= PATHS_PER_UNIT_MAX || priority === 0 || priority > 254) return -(<i32>ERROR_RANGE);
  if (weight === 0 || weight > WEIGHT_MAX) return -(<i32>ERROR_RANGE);
  store<u8>(changetype<usize>(s) + PRIORITY + slot, <u8>priority);
  store<u32>(entryAt(s, STRIDE, slot), strideOf(weight));
  store<f32>(entryAt(s, WEIGHT_INVERSE, slot), 1.0 / <f32>weight);
  s.present |= 1 << slot;
  rebuild(s);
  return 0;
}

/** Sets the slots that may be picked from now on. */
export function selectionSetUsable(s: Selection, usable: u32): void {
  joinWeighted(s, usable & ~s.usable);
  s.usable = usable;
  rebuild(s);
}

/** Sets the accounting that the policy needs; whether learning is on stays unchanged. */
function setDuties(s: Selection): void {
  const history = s.policy === POLICY_HISTORICAL_SERVICE_TIME;
  s.duties = (s.duties & LEARNING) | (s.policy === POLICY_ADAPTIVE ? WEIGHING : history ? HISTORY_KEPT : 0);
  s.overdue = 0;
  s.historyPart = historyPart(history ? s.parameter : 0);
}

/** Sorts the slots in scope by priority, highest first. The turn stays with its slot if that is still in scope. */
function rebuild(s: Selection): void {
  const order = changetype<usize>(s) + ORDER;
  const priority = changetype<usize>(s) + PRIORITY;
  const turns = s.policy === POLICY_ROUND_ROBIN || s.policy === POLICY_ROUND_ROBIN_SUBSET;
  const current = s.turn < s.count ? <u32>load<u8>(order + s.turn) : 0;
  const subset = s.policy === POLICY_ROUND_ROBIN_SUBSET ? s.usable & s.parameter : 0;
  s.scope = subset !== 0 ? subset : s.usable;
  closeExcept(changetype<usize>(s) + CLOSED, s.usable);
  let count: u32 = 0;
  for (let rest = s.scope; rest !== 0; rest &= rest - 1) {
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
  if (!turns) return;
  s.turn = 0;
  for (let at: u32 = 0; at < count; at++) if (load<u8>(order + at) === current) s.turn = at;
}

/**
 * Mask of the slots that carry I/O now, displayed as `>`. Static: the highest usable one; subset: its slots; otherwise every
 * usable slot.
 */
export function inUse(s: Selection): u32 {
  if (s.count === 0) return 0;
  const first = <u32>load<u8>(changetype<usize>(s) + ORDER);
  return s.policy === POLICY_STATIC ? 1 << first : s.scope;
}
