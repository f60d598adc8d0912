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
  REASON_OPERATOR,
  UNIT_FLAG_RELEASED,
} from "../abi";
import { putOffAll } from "../memory/deadline";
import { unitDirty } from "../memory/due";
import { NONE, event, now } from "../memory/ring";
import { Path, Unit } from "../memory/topology";
import { wakeUnit } from "../memory/wake";
import { inUse, selectionSetUsable } from "../selection/selection";
import { groupsConsiderSet } from "./alua";
import { pathEligible, unitPath, unitUnverified } from "./facts";
import { BY_TIERS, pathEnters, pathLeaves } from "./states";

/** Determines again which paths get I/O and which are in use, and reports changes. */
export function unitRefresh(u: Unit, reason: u32, sense: u32, hostStatus: u16): void {
  tiers(u);
  selectionSetUsable(u.selection, u.usable);
  const used = u.usable === 0 ? 0 : inUse(u.selection);
  let left: u32 = NONE;
  let first: u32 = NONE;
  let firstPriority: u32 = 0;
  for (let rest = u.paths; rest !== 0; rest &= rest - 1) {
    const slot = ctz(rest);
    const p = unitPath(u, slot);
    const before = p.toldFlags;
    const uses = ((used >> slot) & 1) !== 0;
    assert(!uses || pathEligible(p));
    if (uses) pathEnters(p, PATH_FLAG_IN_USE, BY_TIERS);
    else pathLeaves(p, PATH_FLAG_IN_USE, BY_TIERS);
    if (uses && <u32>p.priority > firstPriority) {
      firstPriority = p.priority;
      first = p.index;
    }
    if ((before & PATH_FLAG_IN_USE) !== 0 && !uses && faulty(p)) left = p.index;
    if (p.flags === before) continue;
    p.toldFlags = p.flags;
    event(EVENT_PATH_STATE, reason, u.index, p.index, before, p.flags, sense, hostStatus);
  }
  u.inUsePath = first;
  // If there is no other path, one whose identity is being checked is about to be back, or to be found bad.
  const unverifiedOnly = first === NONE && unitUnverified(u);
  if (left !== NONE && reason !== REASON_OPERATOR && !unverifiedOnly)
    failover(u, left, first, reason, sense, hostStatus);
  pathless(u, reason);
  if (u.aluaExplicit !== 0) groupsConsiderSet(u);
}

/** Whether a path is no longer used because of a fault. */
function faulty(p: Path): bool {
  if ((p.flags & PATH_FLAG_ENABLED) === 0) return false;
  return !pathEligible(p) || (p.flags & (PATH_FLAG_STALLED | PATH_FLAG_MARGINAL)) !== 0;
}

function failover(u: Unit, left: u32, first: u32, reason: u32, sense: u32, hostStatus: u16): void {
  event(EVENT_FAILOVER_STARTED, reason, u.index, left, 0, 0, sense, hostStatus);
  if (first !== NONE) event(EVENT_FAILOVER_DONE, reason, u.index, first, left, 0, 0, 0);
  else event(EVENT_FAILOVER_FAILED, reason, u.index, left, 0, 0, sense, hostStatus);
}

/** Starts or ends the wait for a path. */
function pathless(u: Unit, reason: u32): void {
  if (u.eligible === 0) {
    if (u.noPathNs !== 0) {
      // Requests that waited only for an identity check may have to wait for a path now.
      if (u.noPathTold === 0 && u.requestFirst !== 0) unitDirty(u);
      // The limit may have changed: a transition has ended in another state that takes no I/O.
      wakeUnit(u, max(now + 1, u.noPathNs + u.noPathTimeoutNs));
      return;
    }
    u.noPathNs = max<u64>(now, 1);
    u.noPathReason = reason;
    if (u.requestFirst !== 0) unitDirty(u);
    return;
  }
  if (u.noPathNs !== 0) {
    u.noPathNs = 0;
    u.waiting = 0;
    u.noPathTold = 0;
    // They waited beyond their time for something not their own: they get their full time once more.
    if (u.putOff !== 0) putOffAll(u, u.transitionNs + u.ioTimeoutNs);
    u.putOff = 0;
    u.released = 0;
    u.flags &= ~UNIT_FLAG_RELEASED;
  }
  if ((u.queueFirst | u.retryFirst | u.flows) !== 0) unitDirty(u);
}

function tiers(u: Unit): void {
  let best: u32 = 0;
  let second: u32 = 0;
  let third: u32 = 0;
  let fourth: u32 = 0;
  let fifth: u32 = 0;
  for (let rest = u.paths; rest !== 0; rest &= rest - 1) {
    const slot = ctz(rest);
    const p = unitPath(u, slot);
    if (!pathEligible(p)) continue;
    const bit = (<u32>1) << slot;
    if ((p.flags & PATH_FLAG_STALLED) !== 0) fifth |= bit;
    else if ((p.flags & PATH_FLAG_MARGINAL) !== 0) fourth |= bit;
    else if ((p.flags & PATH_FLAG_SUSPECT) !== 0) third |= bit;
    else if (<u32>p.alua === ALUA_OPTIMIZED) best |= bit;
    else second |= bit;
  }
  u.eligible = best | second | third | fourth | fifth;
  u.stalled = fifth;
  u.usable = best;
  if (u.usable === 0) u.usable = second;
  if (u.usable === 0) u.usable = third;
  if (u.usable === 0) u.usable = fourth;
  if (u.usable === 0) u.usable = fifth;
  u.tier2 = second & ~u.usable;
  u.tier3 = third & ~u.usable;
  u.tier4 = fourth & ~u.usable;
  u.tier5 = fifth & ~u.usable;
}
