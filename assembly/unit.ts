// Logical units: their properties, their tiers of paths, the time limits of their requests.
//
// Tiers: eligible paths that are in order and optimized; in order and non-optimized; suspected or stalled; shaky. I/O
// goes to the first tier that is not empty, chosen there by the policy; the lower ones serve pieces that have failed
// on all of the first.

import {
  ALUA_OPTIMIZED,
  BUFFER_PAGE_BYTES,
  ERROR_BUSY,
  ERROR_CLUSTER_MODE,
  ERROR_HANDLE,
  ERROR_LIMIT,
  ERROR_PROPERTY,
  ERROR_RANGE,
  EVENT_FAILOVER_DONE,
  EVENT_FAILOVER_FAILED,
  EVENT_FAILOVER_STARTED,
  EVENT_NO_PATH_FAILED,
  EVENT_PATH_STATE,
  IDENTITY_BYTES_MAX,
  PATH_FLAG_ENABLED,
  PATH_FLAG_IN_USE,
  PATH_FLAG_SHAKY,
  PATH_FLAG_STALLED,
  PATH_FLAG_SUSPECT,
  PIECE_BYTES_MAX,
  POLICY_STATIC,
  REASON_OPERATOR,
  REASON_TIMEOUT,
  UNIT_BYTES,
  UNIT_FLAG_PRESENT,
  UNIT_FLAG_RELEASED,
  UNIT_SET_ALUA_EXPLICIT,
  UNIT_SET_BLOCKS,
  UNIT_SET_BLOCK_BYTES,
  UNIT_SET_CAPABILITIES,
  UNIT_SET_COMMAND_TIMEOUT_MS,
  UNIT_SET_GHOST_RESET_MS,
  UNIT_SET_HEDGE_BUDGET,
  UNIT_SET_IO_TIMEOUT_MS,
  UNIT_SET_LOST_RESET_MS,
  UNIT_SET_NO_PATH_TIMEOUT_MS,
  UNIT_SET_PATROL_READ,
  UNIT_SET_POLICY,
  UNIT_SET_POLICY_PARAMETER,
  UNIT_SET_POLICY_PARAMETER_2,
  UNIT_SET_RELEASED,
  UNIT_SET_STALL_MAX_MS,
  UNIT_SET_STALL_MIN_MS,
  UNIT_SET_STATISTICS_RESET,
  UNIT_SET_TRANSFER_BLOCKS_MAX,
  UNIT_SET_UNMAP_BLOCKS_MAX,
  UNIT_SET_WRITE_SAME_BLOCKS_MAX,
  UNIT_SLOTS,
} from "./abi";
import { groupsConsiderSet, groupsTimer } from "./alua";
import { checkIdentity } from "./check";
import { unitDispatch } from "./dispatch";
import { listNext, listPush, listRemove, listShift } from "./lists";
import { clusterMode } from "./mode";
import { control, scratchArea, selectionOf, unitAt, unitCount, unitStatistics } from "./memory";
import { NBD_EIO } from "./nbd";
import { pathEligible, pathFailed, unitPath } from "./path";
import { COMMAND_FLIGHT, Command, Path, Request, UNIT_IDENTITY, Unit } from "./records";
import { requestAbandon } from "./request";
import { delaysOver, noPathFail } from "./retry";
import { NONE, event, now } from "./ring";
import {
  inUse,
  selectionInit,
  selectionSetParameter,
  selectionSetPolicy,
  selectionSetUsable,
} from "./selection/selection";
import { hedgeSetBudget } from "./selection/hedge";
import { notStarved } from "./slots";
import { stallThreshold, stallTimer } from "./stall";
import { statisticsReset } from "./statistics";
import { NEVER, timerSet, timerSooner } from "./timers";
import { CONTROL_SEED } from "./abi";

const SIBLING: usize = offsetof<Command>("siblingNext");
const LINK: usize = offsetof<Unit>("dirtyNext");
const MS: u64 = 1000000;
const DEFAULT_IO_TIMEOUT_MS: u64 = 60000;
const DEFAULT_NO_PATH_TIMEOUT_MS: u64 = 30000;
const DEFAULT_STALL_MIN_MS: u64 = 20;
const DEFAULT_STALL_MAX_MS: u64 = 5000;
const DEFAULT_GHOST_RESET_MS: u64 = 30000;
const DEFAULT_LOST_RESET_MS: u64 = 2000;
const DEFAULT_COMMAND_TIMEOUT_MS: u64 = 30000;
/** Longest time a setting takes, so that no sum overflows. */
const TIMEOUT_MS_MAX: i64 = 86400000;
/** WRITE SAME and UNMAP without a stated limit go out in pieces of this size, so that none takes very long. */
const SPAN_BYTES_MAX: u32 = 67108864;

const dirty: usize = memory.data(8, 8);

/** Something is to be dispatched at the end of the turn. */
export function unitDirty(u: Unit): void {
  if (u.dirty !== 0) return;
  u.dirty = 1;
  listPush(dirty, changetype<usize>(u), LINK);
}

/** Whether a unit has something to dispatch. */
export function unitsPending(): bool {
  return load<usize>(dirty) !== 0;
}

/** Dispatches what is due. */
export function unitsServe(): void {
  for (let at = listShift(dirty, LINK); at !== 0; at = listShift(dirty, LINK)) {
    const u = changetype<Unit>(at);
    u.dirty = 0;
    unitDispatch(u);
  }
}

/** The unit's timer has fired: pauses, deadlines, the wait for a path. */
export function unitTimer(u: Unit): void {
  if ((u.flags & UNIT_FLAG_PRESENT) === 0) return;
  delaysOver(u);
  groupsTimer(u);
  while (u.requestFirst !== 0) {
    const r = changetype<Request>(u.requestFirst);
    if (r.deadlineNs > now) {
      timerSooner(u.index, r.deadlineNs);
      break;
    }
    blame(r);
    requestAbandon(r, NBD_EIO);
  }
  stallTimer(u);
  if (u.noPathNs !== 0 && u.requestFirst !== 0) {
    const before = now > u.noPathTimeoutNs ? now - u.noPathTimeoutNs : 0;
    const dueNs = noPathFail(u, before);
    if (dueNs !== NEVER) timerSooner(u.index, dueNs);
  }
}

/** The deadline has come: paths that had half of the time, and have answered nothing since, have failed. */
function blame(r: Request): void {
  for (let at = r.commandFirst; at !== 0;) {
    const c = changetype<Command>(at);
    at = listNext(at, SIBLING);
    if (c.state !== COMMAND_FLIGHT || c.timeNs + r.unit.ioTimeoutNs / 2 > now) continue;
    if (c.path.answeredNs > c.timeNs) continue;
    c.path.silent = 1;
    pathFailed(c.path, REASON_TIMEOUT, 0, 0);
  }
}

/** Works out anew which paths get I/O and which are in use, and tells what changed. */
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
    p.flags = uses ? p.flags | PATH_FLAG_IN_USE : p.flags & ~PATH_FLAG_IN_USE;
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
  if (left !== NONE && reason !== REASON_OPERATOR) failover(u, left, first, reason, sense, hostStatus);
  pathless(u, reason);
  if (u.aluaExplicit !== 0) groupsConsiderSet(u);
}

/** Whether a path is left because of a fault. */
function faulty(p: Path): bool {
  if ((p.flags & PATH_FLAG_ENABLED) === 0) return false;
  return !pathEligible(p) || (p.flags & (PATH_FLAG_STALLED | PATH_FLAG_SHAKY)) !== 0;
}

function failover(u: Unit, left: u32, first: u32, reason: u32, sense: u32, hostStatus: u16): void {
  event(EVENT_FAILOVER_STARTED, reason, u.index, left, 0, 0, sense, hostStatus);
  if (first !== NONE) event(EVENT_FAILOVER_DONE, reason, u.index, first, left, 0, 0, 0);
  else event(EVENT_FAILOVER_FAILED, reason, u.index, left, 0, 0, sense, hostStatus);
}

/** Begins or ends the wait for a path. */
function pathless(u: Unit, reason: u32): void {
  if (u.eligible === 0) {
    if (u.noPathNs !== 0) return;
    u.noPathNs = max<u64>(now, 1);
    u.noPathReason = reason;
    if (u.requestFirst !== 0) unitDirty(u);
    return;
  }
  if (u.noPathNs !== 0) {
    u.noPathNs = 0;
    u.waiting = 0;
    u.noPathTold = 0;
    u.released = 0;
    u.flags &= ~UNIT_FLAG_RELEASED;
  }
  if (u.queueFirst !== 0 || u.retryFirst !== 0) unitDirty(u);
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
    else if ((p.flags & PATH_FLAG_SHAKY) !== 0) fourth |= bit;
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

let firstFree: u32 = 0;

/** See docs/architecture.md, `unitAdd`. */
export function unitAdd(): i32 {
  while (firstFree < unitCount && unitAt(firstFree).flags !== 0) firstFree++;
  if (firstFree === unitCount) return -(<i32>ERROR_LIMIT);
  const u = unitAt(firstFree);
  memory.fill(changetype<usize>(u), 0, UNIT_BYTES);
  u.index = firstFree;
  u.flags = UNIT_FLAG_PRESENT;
  u.selection = selectionOf(u.index);
  selectionInit(u.selection, load<u64>(control + CONTROL_SEED) ^ ((<u64>u.index) << 32));
  selectionSetPolicy(u.selection, POLICY_STATIC);
  u.statistics = <u32>unitStatistics(u.index);
  statisticsReset(u.statistics);
  memory.fill(changetype<usize>(u) + UNIT_SLOTS, 0xff, 128);
  u.ioTimeoutNs = DEFAULT_IO_TIMEOUT_MS * MS;
  u.noPathTimeoutNs = DEFAULT_NO_PATH_TIMEOUT_MS * MS;
  u.stallMinNs = DEFAULT_STALL_MIN_MS * MS;
  u.stallMaxNs = DEFAULT_STALL_MAX_MS * MS;
  u.ghostResetNs = DEFAULT_GHOST_RESET_MS * MS;
  u.lostResetNs = DEFAULT_LOST_RESET_MS * MS;
  u.commandTimeoutNs = DEFAULT_COMMAND_TIMEOUT_MS * MS;
  stallThreshold(u);
  u.transferBytes = PIECE_BYTES_MAX;
  u.unmapBytes = SPAN_BYTES_MAX;
  u.sameBytes = SPAN_BYTES_MAX;
  u.inUsePath = NONE;
  u.noPathNs = max<u64>(now, 1);
  return <i32>u.index;
}

/** Whether `handle` is a unit. */
export function unitPresent(handle: u32): bool {
  return handle < unitCount && (unitAt(handle).flags & UNIT_FLAG_PRESENT) !== 0;
}

/** See docs/architecture.md, `unitRemove`. */
export function unitRemove(handle: u32): i32 {
  if (!unitPresent(handle)) return -(<i32>ERROR_HANDLE);
  const u = unitAt(handle);
  if (u.connections !== 0 || u.paths !== 0 || u.slotsHeld !== 0) return -(<i32>ERROR_BUSY);
  if (u.dirty !== 0) listRemove(dirty, changetype<usize>(u), LINK);
  notStarved(u);
  timerSet(u.index, NEVER);
  u.flags = 0;
  firstFree = min(firstFree, handle);
  return 0;
}

/** See docs/architecture.md, `unitIdentity`. */
export function unitIdentity(handle: u32, bytes: u32): i32 {
  if (!unitPresent(handle)) return -(<i32>ERROR_HANDLE);
  if (bytes > IDENTITY_BYTES_MAX || (bytes !== 0 && bytes < 3)) return -(<i32>ERROR_RANGE);
  const u = unitAt(handle);
  memory.copy(changetype<usize>(u) + UNIT_IDENTITY, scratchArea, bytes);
  u.identityBytes = bytes;
  for (let rest = u.paths; rest !== 0; rest &= rest - 1) checkIdentity(unitPath(u, ctz(rest)));
  unitRefresh(u, REASON_OPERATOR, 0, 0);
  return 0;
}

/** See docs/architecture.md, `unitSet`. */
export function unitSet(handle: u32, property: u32, value: i64): i32 {
  if (!unitPresent(handle)) return -(<i32>ERROR_HANDLE);
  const u = unitAt(handle);
  if (value < 0) return -(<i32>ERROR_RANGE);
  if (property === UNIT_SET_BLOCKS) return setBlocks(u, <u64>value);
  if (value > 0xffffffff) return -(<i32>ERROR_RANGE);
  const number = <u32>value;
  if (property === UNIT_SET_BLOCK_BYTES) return setBlockBytes(u, number);
  if (property === UNIT_SET_TRANSFER_BLOCKS_MAX) return setTransfer(u, number);
  if (property === UNIT_SET_CAPABILITIES) u.capabilities = number;
  else if (property === UNIT_SET_UNMAP_BLOCKS_MAX) u.unmapBytes = spanBytes(u, number);
  else if (property === UNIT_SET_WRITE_SAME_BLOCKS_MAX) u.sameBytes = spanBytes(u, number);
  else if (property === UNIT_SET_HEDGE_BUDGET) {
    if (hedgeSetBudget(u.selection, number) !== 0) return -(<i32>ERROR_RANGE);
    u.hedgeBudget = number;
  } else if (property === UNIT_SET_STATISTICS_RESET) resetStatistics(u);
  else if (property === UNIT_SET_POLICY) return setPolicy(u, number);
  else if (property === UNIT_SET_POLICY_PARAMETER) return setPolicyParameter(u, 0, number);
  else if (property === UNIT_SET_POLICY_PARAMETER_2) return setPolicyParameter(u, 1, number);
  else if (property === UNIT_SET_RELEASED) return setReleased(u, number);
  else if (property === UNIT_SET_ALUA_EXPLICIT || property === UNIT_SET_PATROL_READ) {
    if (number > 1) return -(<i32>ERROR_RANGE);
    if (property === UNIT_SET_ALUA_EXPLICIT) {
      u.aluaExplicit = number;
      groupsConsiderSet(u);
    } else u.patrolRead = number;
  } else return setTimeout(u, property, number);
  return 0;
}

/** No path answers: every request is answered with an error, those in flight on silent paths too. */
function failAll(u: Unit): void {
  let failed: u32 = 0;
  for (; u.requestFirst !== 0; failed++) requestAbandon(changetype<Request>(u.requestFirst), NBD_EIO);
  if (failed !== 0) event(EVENT_NO_PATH_FAILED, REASON_OPERATOR, u.index, NONE, failed, 0, 0, 0);
  u.waiting = 0;
}

function resetStatistics(u: Unit): void {
  u.latencyNsMax = 0;
  statisticsReset(u.statistics);
  for (let rest = u.paths; rest !== 0; rest &= rest - 1) statisticsReset(unitPath(u, ctz(rest)).statistics);
}

function setTimeout(u: Unit, property: u32, ms: u32): i32 {
  const ns = <u64>ms * MS;
  if (<i64>ms > TIMEOUT_MS_MAX) return -(<i32>ERROR_RANGE);
  if (property === UNIT_SET_IO_TIMEOUT_MS) {
    if (ms === 0) return -(<i32>ERROR_RANGE);
    u.ioTimeoutNs = ns;
    // The list of requests is in the order of their deadlines, so they all get the new one.
    for (let at = u.requestFirst; at !== 0; at = changetype<Request>(at).unitNext) {
      const r = changetype<Request>(at);
      r.deadlineNs = r.acceptedNs + ns;
    }
    timerSooner(u.index, now);
  } else if (property === UNIT_SET_NO_PATH_TIMEOUT_MS) {
    u.noPathTimeoutNs = ns;
    timerSooner(u.index, now);
  } else if (property === UNIT_SET_STALL_MIN_MS || property === UNIT_SET_STALL_MAX_MS) {
    if (property === UNIT_SET_STALL_MIN_MS) u.stallMinNs = ns;
    else u.stallMaxNs = ns;
    stallThreshold(u);
    timerSooner(u.index, now);
  } else if (property === UNIT_SET_GHOST_RESET_MS) u.ghostResetNs = ns;
  else if (property === UNIT_SET_LOST_RESET_MS) u.lostResetNs = ns;
  else if (property === UNIT_SET_COMMAND_TIMEOUT_MS) u.commandTimeoutNs = ms === 0 ? NEVER : ns;
  else return -(<i32>ERROR_PROPERTY);
  return 0;
}

function setBlocks(u: Unit, blocks: u64): i32 {
  if (blocks > (<u64>1) << 50) return -(<i32>ERROR_RANGE);
  u.blocks = blocks;
  return 0;
}

function setBlockBytes(u: Unit, bytes: u32): i32 {
  if (bytes !== 512 && bytes !== 4096) return -(<i32>ERROR_RANGE);
  if (u.blockBytes !== bytes && u.slotsHeld !== 0) return -(<i32>ERROR_BUSY);
  u.blockBytes = bytes;
  u.blockShift = ctz(bytes);
  return 0;
}

/** Pieces start at page boundaries, so a limit below a page cannot be kept. */
function setTransfer(u: Unit, blocks: u32): i32 {
  if (u.blockBytes === 0) return -(<i32>ERROR_RANGE);
  const bytes = min(<u64>blocks * <u64>u.blockBytes, <u64>PIECE_BYTES_MAX) & ~(<u64>BUFFER_PAGE_BYTES - 1);
  if (blocks !== 0 && bytes === 0) return -(<i32>ERROR_RANGE);
  u.transferBytes = blocks === 0 ? PIECE_BYTES_MAX : <u32>bytes;
  return 0;
}

function spanBytes(u: Unit, blocks: u32): u32 {
  const bytes = (<u64>blocks) << u.blockShift;
  return blocks === 0 || bytes > <u64>SPAN_BYTES_MAX ? SPAN_BYTES_MAX : <u32>bytes;
}

function setPolicy(u: Unit, policy: u32): i32 {
  if (policy !== POLICY_STATIC && clusterMode) return -(<i32>ERROR_CLUSTER_MODE);
  const answer = selectionSetPolicy(u.selection, policy);
  if (answer < 0) return answer;
  u.policy = policy;
  unitRefresh(u, REASON_OPERATOR, 0, 0);
  return 0;
}

/** A parameter can change which paths are in use (a subset), so that is looked at anew. */
function setPolicyParameter(u: Unit, index: u32, value: u32): i32 {
  const answer = selectionSetParameter(u.selection, index, value);
  if (answer < 0) return answer;
  unitRefresh(u, REASON_OPERATOR, 0, 0);
  return 0;
}

function setReleased(u: Unit, released: u32): i32 {
  if (released > 1) return -(<i32>ERROR_RANGE);
  u.released = released === 1 && u.eligible === 0 ? 1 : 0;
  u.flags = u.released !== 0 ? u.flags | UNIT_FLAG_RELEASED : u.flags & ~UNIT_FLAG_RELEASED;
  if (released === 1 && (u.eligible & ~u.stalled) === 0) failAll(u);
  return 0;
}
