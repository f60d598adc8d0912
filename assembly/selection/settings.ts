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
export function selectionInit(selection: Selection, seed: u64): void {
  layoutCheck();
  assert((changetype<usize>(selection) & 15) === 0);
  memory.fill(changetype<usize>(selection), 0, SELECTION_BYTES);
  selection.random = seed;
  for (let slot: u32 = 0; slot < PATHS_PER_UNIT_MAX; slot++) selectionClearPath(selection, slot);
  learn(selection);
}

/**
 * Sets the policy, with default parameters. Takes effect with the next I/O; commands in flight stay accounted.
 * @returns 0, or a negated ERROR_RANGE when there is no such policy; the old policy then stays
 */
export function selectionSetPolicy(selection: Selection, policy: u32): i32 {
  return selectionConfigure(selection, policy, 0, 0);
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
export function selectionConfigure(selection: Selection, policy: u32, parameter: u32, parameter2: u32): i32 {
  if (!possible(selection, policy, parameter, parameter2)) return -(<i32>ERROR_RANGE);
  selection.policy = policy;
  selection.parameter = parameter;
  selection.parameter2 = parameter2;
  selection.turn = 0;
  setDuties(selection);
  setTurn(selection);
  rebuild(selection);
  joinWeighted(selection, selection.present);
  for (let slot: u32 = 0; slot < PATHS_PER_UNIT_MAX; slot++)
    seedHistory(selection, slot, selectionServiceNs(selection, slot));
  return 0;
}

function possible(selection: Selection, policy: u32, parameter: u32, parameter2: u32): bool {
  if (policy === POLICY_ROUND_ROBIN) return parameter <= TURN_IOS_MAX;
  if (policy === POLICY_ROUND_ROBIN_SUBSET) {
    return (
      (parameter === 0 || selection.present === 0 || (parameter & selection.present) !== 0) &&
      parameter2 <= TURN_IOS_MAX
    );
  }
  if (policy === POLICY_HISTORICAL_SERVICE_TIME) return parameter <= 99 && parameter2 === 0;
  return policy < POLICY_COUNT && parameter === 0 && parameter2 === 0;
}

/**
 * Sets a parameter of the current policy (UNIT_SET_POLICY_PARAMETER: index 0, UNIT_SET_POLICY_PARAMETER_2: index 1). Returns
 * 0, or a negated ERROR_RANGE when the policy does not accept the value; the old value then stays.
 */
export function selectionSetParameter(selection: Selection, index: u32, value: u32): i32 {
  if (index > 1) return -(<i32>ERROR_RANGE);
  return selectionConfigure(
    selection,
    selection.policy,
    index === 0 ? value : selection.parameter,
    index === 1 ? value : selection.parameter2,
  );
}

/** Forgets a slot whose path was removed (and has no commands in flight), with everything learned about it. */
export function selectionClearPath(selection: Selection, slot: u32): void {
  assert(load<u32>(entryAt(selection, IN_FLIGHT, slot)) === 0);
  selection.present &= ~(1 << slot);
  selection.usable &= ~(1 << slot);
  store<u8>(changetype<usize>(selection) + PRIORITY + slot, 0);
  store<u32>(entryAt(selection, STRIDE, slot), strideOf(1));
  store<f32>(entryAt(selection, WEIGHT_INVERSE, slot), 1);
  store<u64>(progressAt(selection, slot), 0);
  seedHistory(selection, slot, 0);
  forgetCosts(selection, slot);
  forgetServers(selection, slot);
  unsettle(selection);
  rebuild(selection);
}

/** Learned service time of a slot's most sampled class in ns (PATH_SERVICE_NS); 0 until learned. */
export function selectionServiceNs(selection: Selection, slot: u32): u32 {
  let samples: u32 = 0;
  let serviceNs: f32 = 0;
  for (let sizeClass: u32 = 0; sizeClass < CLASSES; sizeClass++) {
    const known = learningAt(selection, slot, sizeClass);
    if (known.samples <= samples) continue;
    samples = known.samples;
    serviceNs = load<f32>(costAt(selection, slot, sizeClass));
  }
  return serviceNs >= 4294967040 ? u32.MAX_VALUE : <u32>serviceNs;
}

/** Commands in flight on a slot, as reported by `started` and `finished`. */
export function selectionInFlight(selection: Selection, slot: u32): u32 {
  return load<u32>(entryAt(selection, IN_FLIGHT, slot));
}

/**
 * Sets the priority (1..254) and the weight (1..65535) of a slot. Called whenever one changes and when a path is added.
 * @returns 0, or a negated ERROR_RANGE when a value is out of range; priority and weight then stay unchanged
 */
export function selectionSetPath(selection: Selection, slot: u32, priority: u32, weight: u32): i32 {
  if (slot >= PATHS_PER_UNIT_MAX || priority === 0 || priority > 254) return -(<i32>ERROR_RANGE);
  if (weight === 0 || weight > WEIGHT_MAX) return -(<i32>ERROR_RANGE);
  store<u8>(changetype<usize>(selection) + PRIORITY + slot, <u8>priority);
  store<u32>(entryAt(selection, STRIDE, slot), strideOf(weight));
  store<f32>(entryAt(selection, WEIGHT_INVERSE, slot), 1.0 / <f32>weight);
  selection.present |= 1 << slot;
  rebuild(selection);
  return 0;
}

/** Sets the slots that may be picked from now on. */
export function selectionSetUsable(selection: Selection, usable: u32): void {
  joinWeighted(selection, usable & ~selection.usable);
  selection.usable = usable;
  rebuild(selection);
}

/** Sets the accounting that the policy needs; whether learning is on stays unchanged. */
function setDuties(selection: Selection): void {
  const history = selection.policy === POLICY_HISTORICAL_SERVICE_TIME;
  selection.duties =
    (selection.duties & LEARNING) | (selection.policy === POLICY_ADAPTIVE ? WEIGHING : history ? HISTORY_KEPT : 0);
  selection.overdue = 0;
  selection.historyPart = historyPart(history ? selection.parameter : 0);
}

/** Sorts the slots in scope by priority, highest first. The turn stays with its slot if that is still in scope. */
function rebuild(selection: Selection): void {
  const order = changetype<usize>(selection) + ORDER;
  const priority = changetype<usize>(selection) + PRIORITY;
  const turns = selection.policy === POLICY_ROUND_ROBIN || selection.policy === POLICY_ROUND_ROBIN_SUBSET;
  const current = selection.turn < selection.count ? <u32>load<u8>(order + selection.turn) : 0;
  const subset = selection.policy === POLICY_ROUND_ROBIN_SUBSET ? selection.usable & selection.parameter : 0;
  selection.scope = subset !== 0 ? subset : selection.usable;
  closeExcept(changetype<usize>(selection) + CLOSED, selection.usable);
  let count: u32 = 0;
  for (let rest = selection.scope; rest !== 0; rest &= rest - 1) {
    const slot = ctz(rest);
    let at = count;
    while (at > 0 && load<u8>(priority + load<u8>(order + at - 1)) < load<u8>(priority + slot)) {
      store<u8>(order + at, load<u8>(order + at - 1));
      at--;
    }
    store<u8>(order + at, <u8>slot);
    count++;
  }
  selection.count = count;
  if (!turns) return;
  selection.turn = 0;
  for (let at: u32 = 0; at < count; at++) if (load<u8>(order + at) === current) selection.turn = at;
}

/**
 * Mask of the slots that carry I/O now, displayed as `>`. Static: the highest usable one; subset: its slots; otherwise every
 * usable slot.
 */
export function inUse(selection: Selection): u32 {
  if (selection.count === 0) return 0;
  const first = <u32>load<u8>(changetype<usize>(selection) + ORDER);
  return selection.policy === POLICY_STATIC ? 1 << first : selection.scope;
}
