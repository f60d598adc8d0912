// The interface between dispatch and the policies.
//
// Dispatch calls `pick` to choose a slot, `started` when a command is sent on it and `finished` when the command completes.
// Which slots may be picked at all (enabled, healthy, in the right ALUA group, not suspected) is decided by the state
// machine: it sets the usable mask, and a policy never gets an empty set.
//
// Commands in flight and service times are tracked whatever the policy is, so that another policy can be chosen under load
// and starts with everything that is known.
//
// This code runs for every I/O. All policies need the commands in flight; `duties` says what else to do, so that a policy
// that needs no more pays for no more. Rare work is in functions of its own, called last, which look up again what they
// need: then few values have to be saved for the call, and the usual way is short. These are methods, because only methods
// can be marked for inlining into their callers: a call costs as much as the work done here.

import { POLICY_ADAPTIVE, POLICY_AFFINITY, POLICY_HISTORICAL_SERVICE_TIME, POLICY_LEAST_IN_FLIGHT } from "../abi";
import { POLICY_LEAST_SECTORS, POLICY_POWER_OF_TWO, POLICY_ROUND_ROBIN, POLICY_ROUND_ROBIN_SUBSET } from "../abi";
import { POLICY_SERVICE_TIME, POLICY_STATIC, POLICY_WEIGHTED } from "../abi";
import { pickAdaptive, pickAdaptiveLong } from "./adaptive";
import { pickAffinity } from "./affinity";
import { learnHistory, pickHistorical, scoreHistory } from "./historical";
import { closeExcept } from "./scan";
import { BACKLOG, CLASS_IN_FLIGHT, classOf, entriesOfClass, CLOSED, COST, HISTORY_KEPT, IN_FLIGHT } from "./layout";
import { IN_FLIGHT_BYTES, entriesOf, LONG_WAY, OPENED, progressAt, SERVERS_INVERSE, WEIGHING } from "./layout";
import { Selection as SelectionFields } from "./layout";
import { ageCosts, STALE_NS } from "./learning";
import { pickLeastInFlight } from "./leastinflight";
import { pickLeastSectors } from "./leastsectors";
import { LEARNING, nextPhase } from "./phases";
import { pickPowerOfTwo } from "./poweroftwo";
import { pickRoundRobin, pickRoundRobinLong } from "./roundrobin";
import { learnPath, NOTE_CLASS, noteOf, NOTE_UNKNOWN, NOTE_WEIGHED, seePath } from "./servers";
import { pickServiceTime } from "./servicetime";
import { pickStatic, pickStaticLong } from "./static";
import { pickWeighted, pickWeightedLong } from "./weighted";

export { SELECTION_BYTES } from "./layout";
export { inUse, selectionClearPath, selectionConfigure, selectionInFlight, selectionInit } from "./settings";
export { selectionServiceNs, selectionSetParameter, selectionSetPath, selectionSetPolicy } from "./settings";
export { selectionSetUsable } from "./settings";

/** A command that takes this many times its expected time starts learning: from it and from those after it. */
const SURPRISE: f32 = 8;

@unmanaged
export class Selection extends SelectionFields {
  /**
   * Chooses the slot of the next command.
   * @param allowed slots that this command may use (usable ones on which it has not failed), never empty within `usable`
   * @param bytes bytes that the command transfers
   * @param write whether it writes
   * @param affinity number of the connection that it came from
   * @param nowNs the current time
   * @returns the slot; it is in `allowed & usable`
   */
  @inline
  pick(allowed: u32, bytes: u32, write: bool, affinity: u32, nowNs: u64): u32 {
    const usable = this.usable;
    const open = allowed & usable;
    assert(open !== 0);
    const closed = open === usable ? changetype<usize>(this) + CLOSED : close(this, open);
    const slot = this.usual(open, closed, bytes, write, affinity, nowNs);
    return slot !== LONG_WAY ? slot : pickLong(this, open, bytes, write, nowNs);
  }

  /**
   * The choice of the current policy, or LONG_WAY. The cheapest policies are tested first, because testing for the policy is
   * most of their cost. No function is called here: values that live across a call are kept in memory, even when the call is
   * not made.
   */
  @inline
  usual(open: u32, closed: usize, bytes: u32, write: bool, affinity: u32, nowNs: u64): u32 {
    const policy = this.policy;
    if (policy === POLICY_STATIC) return pickStatic(this, open);
    if (policy === POLICY_ROUND_ROBIN || policy === POLICY_ROUND_ROBIN_SUBSET) return pickRoundRobin(this, open, bytes);
    if (policy === POLICY_AFFINITY) return pickAffinity(this, open, affinity);
    if (policy === POLICY_LEAST_IN_FLIGHT) return pickLeastInFlight(this, open, closed);
    if (policy === POLICY_LEAST_SECTORS) return pickLeastSectors(this, open, closed);
    if (policy === POLICY_SERVICE_TIME) return pickServiceTime(this, open, closed, bytes);
    if (policy === POLICY_HISTORICAL_SERVICE_TIME) return pickHistorical(this, open, closed);
    if (policy === POLICY_WEIGHTED) return pickWeighted(this, open, closed);
    if (policy === POLICY_ADAPTIVE) return pickAdaptive(this, open, closed, bytes, write, nowNs);
    assert(policy === POLICY_POWER_OF_TWO);
    return pickPowerOfTwo(this, open);
  }

  /**
   * A command of `bytes` bytes was sent on `slot`.
   * @returns a note to pass to `finished`: it tells the policy whether the command had to wait on its path
   */
  @inline
  started(slot: u32, bytes: u32, write: bool, nowNs: u64): u32 {
    const entries = entriesOf(this, slot);
    const ahead = load<u32>(entries, IN_FLIGHT);
    store<u32>(entries, ahead + 1, IN_FLIGHT);
    store<u32>(entries, load<u32>(entries, IN_FLIGHT_BYTES) + bytes, IN_FLIGHT_BYTES);
    const duties = this.duties;
    let note = NOTE_UNKNOWN;
    if (duties & (WEIGHING | HISTORY_KEPT)) {
      if (duties & HISTORY_KEPT) scoreHistory(this, slot);
      else note += NOTE_WEIGHED + this.weigh(entries, bytes, write);
    }
    if (ahead === 0) {
      const progress = progressAt(this, slot);
      if (<i64>(nowNs - load<u64>(progress)) >= STALE_NS) ageCosts(this, slot);
      store<u64>(progress, nowNs);
    }
    // While learning, `phaseNs` is 0.
    return nowNs >= this.phaseNs ? startedMore(this, slot, nowNs, note) : note;
  }

  /** Adds a command to its path's backlog. Returns its class. */
  @inline
  weigh(entries: usize, bytes: u32, write: bool): u32 {
    this.issued += 1;
    const sizeClass = classOf(bytes, write);
    const ofClass = entriesOfClass(entries, sizeClass);
    store<u32>(ofClass, load<u32>(ofClass, CLASS_IN_FLIGHT) + 1, CLASS_IN_FLIGHT);
    store<f32>(entries, load<f32>(entries, BACKLOG) + load<f32>(ofClass, COST), BACKLOG);
    return sizeClass;
  }

  /**
   * A command passed to `started` completed (or was given up as an orphan: then `good` is false).
   * @param bytes as passed to `started`, like `write`
   * @param latencyNs time since it was sent
   * @param good whether the path did its work; a failure says nothing about speed unless it took long
   * @param note the result of `started`
   */
  @inline
  finished(slot: u32, bytes: u32, write: bool, latencyNs: u64, good: bool, nowNs: u64, note: u32): void {
    const entries = entriesOf(this, slot);
    const until = load<u32>(entries, IN_FLIGHT);
    assert(until > 0);
    store<u32>(entries, until - 1, IN_FLIGHT);
    store<u32>(entries, load<u32>(entries, IN_FLIGHT_BYTES) - bytes, IN_FLIGHT_BYTES);
    const progress = progressAt(this, slot);
    const duties = this.duties;
    let learns = duties & LEARNING;
    if ((duties & HISTORY_KEPT) | (note & NOTE_WEIGHED)) {
      if (note & NOTE_WEIGHED) {
        const ofClass = entriesOfClass(entries, note & NOTE_CLASS);
        const alike = load<u32>(ofClass, CLASS_IN_FLIGHT);
        assert(alike > 0);
        store<u32>(ofClass, alike - 1, CLASS_IN_FLIGHT);
        const cost = load<f32>(ofClass, COST);
        const backlog = load<f32>(entries, BACKLOG);
        // An idle path has no backlog: this removes rounding errors.
        store<f32>(entries, until === 1 || backlog < cost ? 0 : backlog - cost, BACKLOG);
        if (this.overdue !== 0) this.overdue &= ~(1 << slot);
        const shared = backlog * load<f32>(entries, SERVERS_INVERSE);
        // Of answers fetched at once the last ones had to wait for those before, which the backlog does not contain any more.
        if (<f32>(<i64>latencyNs) > SURPRISE * (shared > cost ? shared : cost) && nowNs !== load<u64>(progress))
          learns = LEARNING;
      } else {
        // At most the time since the path's previous answer, or since it became busy.
        const apartNs = nowNs - load<u64>(progress);
        if (good) learnHistory(this, slot, <f32>(<i64>min(latencyNs, apartNs)));
        scoreHistory(this, slot);
      }
    }
    store<u64>(progress, nowNs);
    if (learns) finishedMore(this, slot, bytes, write, latencyNs, good, nowNs, note);
  }

  /** Whether every command is currently learned from: estimates may then have changed. */
  learns(): bool {
    return (this.duties & LEARNING) !== 0;
  }
}

/** The choice of a policy when it needs more work than usual. */
function pickLong(selection: Selection, open: u32, bytes: u32, write: bool, nowNs: u64): u32 {
  if (selection.policy === POLICY_STATIC) return pickStaticLong(selection, open);
  if (selection.policy === POLICY_ADAPTIVE) return pickAdaptiveLong(selection, open, bytes, write, nowNs);
  if (selection.policy === POLICY_WEIGHTED) return pickWeightedLong(selection, open);
  return pickRoundRobinLong(selection, open, bytes);
}

/** Closes all slots except `open` for one pick; returns the address of the array that does so. */
function close(selection: Selection, open: u32): usize {
  const array = changetype<usize>(selection) + OPENED;
  closeExcept(array, open);
  return array;
}

/** The rest of the work for a command sent while learning, or at the end of a rest. Returns the note. */
function startedMore(selection: Selection, slot: u32, nowNs: u64, note: u32): u32 {
  if ((selection.duties & WEIGHING) === 0) selection.issued += 1;
  nextPhase(selection, nowNs);
  if ((selection.duties & LEARNING) === 0) return note;
  const ahead = load<u32>(entriesOf(selection, slot), IN_FLIGHT) - 1;
  return note - NOTE_UNKNOWN + noteOf(seePath(selection, slot, ahead, nowNs), ahead);
}

/** Learns from a command. */
function finishedMore(
  selection: Selection,
  slot: u32,
  bytes: u32,
  write: bool,
  latencyNs: u64,
  good: bool,
  nowNs: u64,
  note: u32,
): void {
  const until = load<u32>(entriesOf(selection, slot), IN_FLIGHT) + 1;
  learnPath(selection, slot, classOf(bytes, write), latencyNs, good, nowNs, note, until);
}
