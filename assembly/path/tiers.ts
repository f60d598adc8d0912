// Which paths of a unit get I/O. Eligible paths fall into tiers: healthy and optimized; healthy and non-optimized; suspect;
// marginal; stalled. I/O goes to the first tier that is not empty, where the policy chooses; lower tiers serve pieces that have
// failed on all paths of the first.

import {
  ALUA_OPTIMIZED,
  EVENT_FAILOVER_DONE,
  EVENT_FAILOVER_FAILED,
  EVENT_FAILOVER_STARTED,
  EVENT_PATH_STATE,
  PATH_FLAG_ENABLED,
  PATH_FLAG_IN_USE,
  PATH_FLAG_MARGINAL,
  PATH_FLAG_STALLED,
  PATH_FLAG_SUSPECT,
  PATH_FLAG_UNREGISTERED,
  REASON_OPERATOR,
  REASON_RESERVATION,
  UNIT_FLAG_RELEASED,
} from "../abi";
import { putOffAll } from "../memory/deadline";
import { unitDirty } from "../memory/due";
import { NONE, event, now } from "../memory/ring";
import { Path, Unit } from "../memory/topology";
import { wakeUnit } from "../memory/wake";
import { inUse, selectionSetUsable } from "../selection/selection";
import { groupsConsiderSet } from "./alua";
import { pathEligible, unitPath, unitAwaitsPath } from "./facts";
import { registrationAsk } from "./registration";
import { BY_TIERS, pathEnters, pathLeaves } from "./states";

/** Determines again which paths get I/O and which are in use, and reports changes. */
export function unitRefresh(unit: Unit, reason: u32, sense: u32, hostStatus: u16): void {
  tiers(unit);
  selectionSetUsable(unit.selection, unit.usable);
  const used = unit.usable === 0 ? 0 : inUse(unit.selection);
  let left: u32 = NONE;
  let first: u32 = NONE;
  let firstPriority: u32 = 0;
  for (let rest = unit.paths; rest !== 0; rest &= rest - 1) {
    const slot = ctz(rest);
    const path = unitPath(unit, slot);
    const before = path.toldFlags;
    const uses = ((used >> slot) & 1) !== 0;
    assert(!uses || pathEligible(path));
    if (uses) pathEnters(path, PATH_FLAG_IN_USE, BY_TIERS);
    else pathLeaves(path, PATH_FLAG_IN_USE, BY_TIERS);
    if (uses && <u32>path.priority > firstPriority) {
      firstPriority = path.priority;
      first = path.index;
    }
    if ((before & PATH_FLAG_IN_USE) !== 0 && !uses && faulty(path)) left = path.index;
    if (path.flags !== before) {
      path.toldFlags = path.flags;
      event(EVENT_PATH_STATE, reason, unit.index, path.index, before, path.flags, sense, hostStatus);
    }
    if ((path.flags & PATH_FLAG_UNREGISTERED) !== 0) registrationAsk(path, sense);
  }
  unit.inUsePath = first;
  // If there is no other path, one that is being checked or registered is about to be back, or to be found bad.
  const awaited = first === NONE && unitAwaitsPath(unit);
  if (left !== NONE && reason !== REASON_OPERATOR && reason !== REASON_RESERVATION && !awaited)
    failover(unit, left, first, reason, sense, hostStatus);
  pathless(unit, reason);
  if (unit.aluaExplicit !== 0) groupsConsiderSet(unit);
}

/** Whether a path is no longer used because of a fault. */
function faulty(path: Path): bool {
  if ((path.flags & PATH_FLAG_ENABLED) === 0) return false;
  return !pathEligible(path) || (path.flags & (PATH_FLAG_STALLED | PATH_FLAG_MARGINAL)) !== 0;
}

function failover(unit: Unit, left: u32, first: u32, reason: u32, sense: u32, hostStatus: u16): void {
  event(EVENT_FAILOVER_STARTED, reason, unit.index, left, 0, 0, sense, hostStatus);
  if (first !== NONE) event(EVENT_FAILOVER_DONE, reason, unit.index, first, left, 0, 0, 0);
  else event(EVENT_FAILOVER_FAILED, reason, unit.index, left, 0, 0, sense, hostStatus);
}

/** Starts or ends the wait for a path. */
function pathless(unit: Unit, reason: u32): void {
  if (unit.eligible === 0) {
    if (unit.noPathNs !== 0) {
      // Requests that waited only for an identity check may have to wait for a path now.
      if (unit.noPathTold === 0 && unit.requestFirst !== 0) unitDirty(unit);
      // The limit may have changed: a transition has ended in another state that takes no I/O.
      wakeUnit(unit, max(now + 1, unit.noPathNs + unit.noPathTimeoutNs));
      return;
    }
    unit.noPathNs = max<u64>(now, 1);
    unit.noPathReason = reason;
    if (unit.requestFirst !== 0) unitDirty(unit);
    return;
  }
  if (unit.noPathNs !== 0) {
    unit.noPathNs = 0;
    unit.waiting = 0;
    unit.noPathTold = 0;
    // They waited beyond their time for something not their own: they get their full time once more.
    if (unit.putOff !== 0) putOffAll(unit, unit.transitionNs + unit.ioTimeoutNs);
    unit.putOff = 0;
    unit.released = 0;
    unit.flags &= ~UNIT_FLAG_RELEASED;
  }
  if ((unit.queueFirst | unit.retryFirst | unit.flows) !== 0) unitDirty(unit);
}

function tiers(unit: Unit): void {
  let best: u32 = 0;
  let second: u32 = 0;
  let third: u32 = 0;
  let fourth: u32 = 0;
  let fifth: u32 = 0;
  for (let rest = unit.preempted !== 0 ? 0 : unit.paths; rest !== 0; rest &= rest - 1) {
    const slot = ctz(rest);
    const path = unitPath(unit, slot);
    if (!pathEligible(path)) continue;
    const bit = (<u32>1) << slot;
    if ((path.flags & PATH_FLAG_STALLED) !== 0) fifth |= bit;
    else if ((path.flags & PATH_FLAG_MARGINAL) !== 0) fourth |= bit;
    else if ((path.flags & PATH_FLAG_SUSPECT) !== 0) third |= bit;
    else if (<u32>path.alua === ALUA_OPTIMIZED) best |= bit;
    else second |= bit;
  }
  unit.eligible = best | second | third | fourth | fifth;
  unit.stalled = fifth;
  unit.usable = best;
  if (unit.usable === 0) unit.usable = second;
  if (unit.usable === 0) unit.usable = third;
  if (unit.usable === 0) unit.usable = fourth;
  if (unit.usable === 0) unit.usable = fifth;
  unit.tier2 = second & ~unit.usable;
  unit.tier3 = third & ~unit.usable;
  unit.tier4 = fourth & ~unit.usable;
  unit.tier5 = fifth & ~unit.usable;
}
