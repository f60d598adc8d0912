// The interface between dispatch and the policies.
//
// Dispatch asks `pick` for a slot, tells `started` when a command goes out on it and `finished` when it came back.
// Which slots may be picked at all (enabled, healthy, right ALUA group, not suspected) is the state machine's business:
// it sets the usable mask, and a policy never sees an empty set.
//
// What is in flight and what the paths take is kept whatever the policy is, so that another can be chosen under load
// and starts with all that is known.

import { ERROR_RANGE, PATHS_PER_UNIT_MAX, POLICY_ADAPTIVE, POLICY_AFFINITY, POLICY_COUNT } from "../abi";
import { POLICY_HISTORICAL_SERVICE_TIME, POLICY_LEAST_IN_FLIGHT, POLICY_LEAST_SECTORS } from "../abi";
import { POLICY_POWER_OF_TWO, POLICY_ROUND_ROBIN, POLICY_ROUND_ROBIN_SUBSET, POLICY_SERVICE_TIME } from "../abi";
import { POLICY_STATIC, POLICY_WEIGHTED } from "../abi";
import { pickAdaptive } from "./adaptive";
import { pickAffinity } from "./affinity";
import { learnHistory, pickHistorical, scoreHistory, seedHistory } from "./historical";
import { CLASSES, classOf, costAt, IN_FLIGHT, IN_FLIGHT_BYTES, lane, lanesOf, layoutCheck, learningAt } from "./layout";
import { ORDER, PRIORITY, progressAt, Selection, serversAt, SELECTION_BYTES, WEIGHT, WEIGHT_INVERSE } from "./layout";
import { ageCosts, backlogAdd, backlogRemove, forgetCosts } from "./learning";
import { pickLeastInFlight } from "./leastinflight";
import { pickLeastSectors } from "./leastsectors";
import { pickPowerOfTwo } from "./poweroftwo";
import { pickRoundRobin, TURN_IOS_MAX } from "./roundrobin";
import { forgetServers, learnPath, noteOf, passTime } from "./servers";
import { pickServiceTime } from "./servicetime";
import { pickStatic } from "./static";
import { joinWeighted, pickWeighted, WEIGHT_MAX } from "./weighted";

export { Selection, SELECTION_BYTES } from "./layout";

/**
 * Prepares the Selection of a new unit; nothing may be in flight.
 * @param seed seed of the random numbers of this unit; same seed, same decisions
 */
export function selectionInit(s: Selection, seed: u64): void {
  layoutCheck();
  assert((changetype<usize>(s) & 15) === 0);
  memory.fill(changetype<usize>(s), 0, SELECTION_BYTES);
  s.random = seed;
  for (let slot: u32 = 0; slot < PATHS_PER_UNIT_MAX; slot++) selectionClearPath(s, slot);
}

/**
 * Chooses the policy with the parameters' defaults. Takes effect with the next I/O; what is in flight stays accounted.
 * @returns 0, or a negated ERROR_RANGE when there is no such policy; the old one then stays
 */
export function selectionSetPolicy(s: Selection, policy: u32): i32 {
  return selectionConfigure(s, policy, 0, 0);
}

/**
 * Chooses policy and parameters in one step: all or nothing.
 *
 * | policy | parameter | parameter2 |
 * |---|---|---|
 * | round robin | I/Os of a turn, 0..1000000; 0 and 1: one | bytes of a turn; 0: no limit by bytes |
 * | round robin over a subset | mask of slots; 0: all | I/Os of a turn, 0..1000000 |
 * | historical service time | share of history in percent, 1..99; 0: 95 | 0 |
 * | all others | 0 | 0 |
 *
 * @returns 0, or a negated ERROR_RANGE: no such policy, a parameter out of range, or a subset without a usable path
 * (without any path, while the unit has no usable one); the old policy and parameters then stay
 */
export function selectionConfigure(s: Selection, policy: u32, parameter: u32, parameter2: u32): i32 {
  if (!possible(s, policy, parameter, parameter2)) return -(<i32>ERROR_RANGE);
  s.policy = policy;
  s.parameter = parameter;
  s.parameter2 = parameter2;
  s.turn = 0;
  rebuild(s);
  joinWeighted(s, s.present);
  for (let slot: u32 = 0; slot < PATHS_PER_UNIT_MAX; slot++) seedHistory(s, slot, selectionServiceNs(s, slot));
  return 0;
}

function possible(s: Selection, policy: u32, parameter: u32, parameter2: u32): bool {
  if (policy === POLICY_ROUND_ROBIN) return parameter <= TURN_IOS_MAX;
  if (policy === POLICY_ROUND_ROBIN_SUBSET) {
    const candidates = s.usable !== 0 ? s.usable : s.present;
    return (parameter === 0 || candidates === 0 || (parameter & candidates) !== 0) && parameter2 <= TURN_IOS_MAX;
  }
  if (policy === POLICY_HISTORICAL_SERVICE_TIME) return parameter <= 99 && parameter2 === 0;
  return policy < POLICY_COUNT && parameter === 0 && parameter2 === 0;
}

/**
 * Sets a parameter of the policy in force (UNIT_SET_POLICY_PARAMETER: index 0, UNIT_SET_POLICY_PARAMETER_2: index 1).
 * Answers 0, or a negated ERROR_RANGE when the policy does not take the value; the old one then stays.
 */
export function selectionSetParameter(s: Selection, index: u32, value: u32): i32 {
  if (index > 1) return -(<i32>ERROR_RANGE);
  return selectionConfigure(s, s.policy, index === 0 ? value : s.parameter, index === 1 ? value : s.parameter2);
}

/** Forgets a slot whose path was removed (nothing is in flight on it any more), with all that was learned of it. */
export function selectionClearPath(s: Selection, slot: u32): void {
  assert(load<u32>(lane(s, IN_FLIGHT, slot)) === 0);
  s.present &= ~(1 << slot);
  s.usable &= ~(1 << slot);
  store<u8>(changetype<usize>(s) + PRIORITY + slot, 0);
  store<u32>(lane(s, WEIGHT, slot), 1);
  store<f32>(lane(s, WEIGHT_INVERSE, slot), 1);
  store<u64>(progressAt(s, slot), 0);
  seedHistory(s, slot, 0);
  forgetCosts(s, slot);
  forgetServers(s, slot);
  rebuild(s);
}

/** Learned service time of a slot in ns, 0 until learned (PATH_SERVICE_NS): of its most sampled class. */
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

/** Commands in flight on a slot, as `started` and `finished` told. */
export function selectionInFlight(s: Selection, slot: u32): u32 {
  return load<u32>(lane(s, IN_FLIGHT, slot));
}

/**
 * Tells the priority (1..254) and the weight (1..65535) of a slot. Called whenever one changes and when a path is added.
 * @returns 0, or a negated ERROR_RANGE when a value is out of range; priority and weight then stay what they were
 */
export function selectionSetPath(s: Selection, slot: u32, priority: u32, weight: u32): i32 {
  if (slot >= PATHS_PER_UNIT_MAX || priority === 0 || priority > 254) return -(<i32>ERROR_RANGE);
  if (weight === 0 || weight > WEIGHT_MAX) return -(<i32>ERROR_RANGE);
  store<u8>(changetype<usize>(s) + PRIORITY + slot, <u8>priority);
  store<u32>(lane(s, WEIGHT, slot), weight);
  store<f32>(lane(s, WEIGHT_INVERSE, slot), 1.0 / <f32>weight);
  s.present |= 1 << slot;
  rebuild(s);
  return 0;
}

/** Tells which slots may be picked from now on. */
export function selectionSetUsable(s: Selection, usable: u32): void {
  joinWeighted(s, usable & ~s.usable);
  s.usable = usable;
  rebuild(s);
}

/** Sorts the slots in scope by priority, highest first. The turn stays with its slot where that is still there. */
function rebuild(s: Selection): void {
  const order = changetype<usize>(s) + ORDER;
  const priority = changetype<usize>(s) + PRIORITY;
  const turns = s.policy === POLICY_ROUND_ROBIN || s.policy === POLICY_ROUND_ROBIN_SUBSET;
  const current = s.turn < s.count ? <u32>load<u8>(order + s.turn) : 0;
  const subset = s.policy === POLICY_ROUND_ROBIN_SUBSET ? s.usable & s.parameter : 0;
  s.scope = subset !== 0 ? subset : s.usable;
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
 * Chooses the slot of the next command.
 * @param allowed slots this command may use (usable ones it has not failed on), never empty within `usable`
 * @param bytes bytes the command transfers
 * @param write whether it writes
 * @param affinity number of the connection it came by
 * @param nowNs the clock
 * @returns the slot; it is in `allowed & usable`
 */
export function pick(s: Selection, allowed: u32, bytes: u32, write: bool, affinity: u32, nowNs: u64): u32 {
  const open = allowed & s.usable;
  assert(open !== 0);
  switch (s.policy) {
    case POLICY_STATIC:
      return pickStatic(s, open);
    case POLICY_ROUND_ROBIN:
    case POLICY_ROUND_ROBIN_SUBSET:
      return pickRoundRobin(s, open, bytes);
    case POLICY_LEAST_SECTORS:
      return pickLeastSectors(s, open);
    case POLICY_LEAST_IN_FLIGHT:
      return pickLeastInFlight(s, open);
    case POLICY_SERVICE_TIME:
      return pickServiceTime(s, open, bytes);
    case POLICY_HISTORICAL_SERVICE_TIME:
      return pickHistorical(s, open);
    case POLICY_WEIGHTED:
      return pickWeighted(s, open);
    case POLICY_AFFINITY:
      return pickAffinity(s, open, affinity);
    case POLICY_POWER_OF_TWO:
      return pickPowerOfTwo(s, open);
    default:
      assert(s.policy === POLICY_ADAPTIVE);
      return pickAdaptive(s, open, bytes, write, nowNs);
  }
}

/**
 * A command of `bytes` went out on `slot`.
 * @returns a note to hand to `finished`: from it the policy sees whether the command had to wait on its path
 */
export function started(s: Selection, slot: u32, bytes: u32, write: bool, nowNs: u64): u32 {
  const lanes = lanesOf(s, slot);
  const ahead = load<u32>(lanes, IN_FLIGHT);
  if (ahead === 0) wake(s, slot, nowNs);
  const servers = serversAt(s, slot);
  passTime(servers, ahead, nowNs);
  store<u32>(lanes, ahead + 1, IN_FLIGHT);
  store<u32>(lanes, load<u32>(lanes, IN_FLIGHT_BYTES) + bytes, IN_FLIGHT_BYTES);
  backlogAdd(s, slot, classOf(bytes, write));
  if (s.policy === POLICY_HISTORICAL_SERVICE_TIME) scoreHistory(s, slot);
  return noteOf(servers, ahead);
}

/** The path was idle and gets a command. */
function wake(s: Selection, slot: u32, nowNs: u64): void {
  const progress = progressAt(s, slot);
  const sinceNs = load<u64>(progress);
  if (nowNs > sinceNs) ageCosts(s, slot, nowNs - sinceNs);
  store<u64>(progress, nowNs);
}

/**
 * A command that was `started` came back (or was given up as a ghost: then `good` is false).
 * @param bytes as told to `started`, as well as `write`
 * @param latencyNs time since it went out
 * @param good whether the path did its work; a failure teaches nothing about speed unless it took long
 * @param note what `started` answered; 0 when it was not kept
 */
export function finished(
  s: Selection,
  slot: u32,
  bytes: u32,
  write: bool,
  latencyNs: u64,
  good: bool,
  nowNs: u64,
  note: u32 = 0,
): void {
  const lanes = lanesOf(s, slot);
  const until = load<u32>(lanes, IN_FLIGHT);
  assert(until > 0);
  store<u32>(lanes, until - 1, IN_FLIGHT);
  store<u32>(lanes, load<u32>(lanes, IN_FLIGHT_BYTES) - bytes, IN_FLIGHT_BYTES);
  const sizeClass = classOf(bytes, write);
  backlogRemove(s, slot, sizeClass, until);
  s.overdue &= ~(1 << slot);
  const servers = serversAt(s, slot);
  passTime(servers, until, nowNs);
  const latency = <f32>(<i64>latencyNs);
  if (good || latency > load<f32>(costAt(s, slot, sizeClass))) {
    learnPath(s, slot, servers, sizeClass, note, until, latency);
    if (s.policy === POLICY_HISTORICAL_SERVICE_TIME) {
      learnHistory(s, slot, min(latency, <f32>(<i64>(nowNs - load<u64>(progressAt(s, slot))))));
    }
  }
  if (s.policy === POLICY_HISTORICAL_SERVICE_TIME) scoreHistory(s, slot);
  store<u64>(progressAt(s, slot), nowNs);
}

/** The slots that carry I/O now, a mask: what `>` shows. Static: the highest usable; subset: that; else every usable. */
export function inUse(s: Selection): u32 {
  if (s.count === 0) return 0;
  const first = <u32>load<u8>(changetype<usize>(s) + ORDER);
  return s.policy === POLICY_STATIC ? 1 << first : s.scope;
}
