// What control may set of a unit (UNIT_SET_*): its size, limits and capabilities, its time limits, its policy.

import {
  BUFFER_PAGE_BYTES,
  ERROR_BUSY,
  ERROR_CLUSTER_MODE,
  ERROR_HANDLE,
  ERROR_PROPERTY,
  ERROR_RANGE,
  EVENT_NO_PATH_FAILED,
  PIECE_BYTES_MAX,
  POLICY_STATIC,
  REASON_OPERATOR,
  REASON_RESERVATION,
  UNIT_FLAG_PREEMPTED,
  UNIT_FLAG_RELEASED,
  UNIT_SET_ALUA_EXPLICIT,
  UNIT_SET_BLOCKS,
  UNIT_SET_BLOCK_BYTES,
  UNIT_SET_CAPABILITIES,
  UNIT_SET_COMMAND_TIMEOUT_MS,
  UNIT_SET_ORPHAN_RESET_MS,
  UNIT_SET_HEDGE_BUDGET,
  UNIT_SET_LEFTOVERS,
  UNIT_SET_IO_TIMEOUT_MS,
  UNIT_SET_LOST_RESET_MS,
  UNIT_SET_NO_PATH_TIMEOUT_MS,
  UNIT_SET_PATROL_READ,
  UNIT_SET_POLICY,
  UNIT_SET_POLICY_PARAMETER,
  UNIT_SET_POLICY_PARAMETER_2,
  UNIT_SET_PREEMPTED,
  UNIT_SET_REGISTRANTS,
  UNIT_SET_REGISTRATION,
  UNIT_SET_RELEASED,
  UNIT_SET_SHARED,
  UNIT_SET_STALL_MAX_MS,
  UNIT_SET_STALL_MIN_MS,
  UNIT_SET_STATISTICS_RESET,
  UNIT_SET_TRANSFER_BLOCKS_MAX,
  UNIT_SET_UNMAP_BLOCKS_MAX,
  UNIT_SET_WRITE_SAME_BLOCKS_MAX,
  ZEROING_PIECE_BYTES_MAX,
  STATISTICS_UNIT_BYTES,
} from "./abi";
import { EIO, EPERM } from "./memory/errno";
import { unitAt } from "./memory/memory";
import { NONE, event, now } from "./memory/ring";
import { statisticsReset } from "./memory/statistics";
import { MILLISECOND, NEVER } from "./memory/time";
import { Unit } from "./memory/topology";
import { listsOf } from "./memory/unit-lists";
import { wakeUnit } from "./memory/wake";
import { groupsConsiderSet } from "./path/alua";
import { unitPath } from "./path/facts";
import { clusterMode } from "./path/mode";
import { registrantsSet, registrationRequire, registrationsDoubt } from "./path/registration";
import { unitRefresh } from "./path/tiers";
import { leftoversSet } from "./request/orphan";
import { requestAbandon } from "./request/request";
import { stallThreshold } from "./request/threshold";
import { hedgeSetBudget } from "./selection/hedge-budget";
import { selectionSetParameter, selectionSetPolicy } from "./selection/selection";
import { unitPresent } from "./unit";

/** Block sizes, and the most blocks: no byte address of theirs overflows. */
const BLOCK_BYTES_SHORT: u32 = 512;
const BLOCK_BYTES_LONG: u32 = 4096;
const BLOCKS_MAX: u64 = 1 << 50;
/** Longest time a setting takes, so that no sum overflows. */
const TIMEOUT_MS_MAX: i64 = 86400000;

/** See docs/architecture.md, `unitSet`. */
export function unitSet(handle: u32, property: u32, value: i64): i32 {
  if (!unitPresent(handle)) return -(<i32>ERROR_HANDLE);
  const unit = unitAt(handle);
  if (value < 0) return -(<i32>ERROR_RANGE);
  if (property === UNIT_SET_BLOCKS) return setBlocks(unit, <u64>value);
  if (value > <i64>u32.MAX_VALUE) return -(<i32>ERROR_RANGE);
  const number = <u32>value;
  if (property === UNIT_SET_BLOCK_BYTES) return setBlockBytes(unit, number);
  if (property === UNIT_SET_TRANSFER_BLOCKS_MAX) return setTransfer(unit, number);
  if (property === UNIT_SET_CAPABILITIES) unit.capabilities = number;
  else if (property === UNIT_SET_UNMAP_BLOCKS_MAX) unit.unmapBytes = spanBytes(unit, number);
  else if (property === UNIT_SET_WRITE_SAME_BLOCKS_MAX) unit.sameBytes = spanBytes(unit, number);
  else if (property === UNIT_SET_HEDGE_BUDGET) {
    if (hedgeSetBudget(unit.selection, number) !== 0) return -(<i32>ERROR_RANGE);
    unit.hedgeBudget = number;
  } else if (property === UNIT_SET_STATISTICS_RESET) resetStatistics(unit);
  else if (property === UNIT_SET_POLICY) return setPolicy(unit, number);
  else if (property === UNIT_SET_POLICY_PARAMETER) return setPolicyParameter(unit, 0, number);
  else if (property === UNIT_SET_POLICY_PARAMETER_2) return setPolicyParameter(unit, 1, number);
  else if (property === UNIT_SET_RELEASED) return setReleased(unit, number);
  else if (property === UNIT_SET_REGISTRATION) return setRegistration(unit, number);
  else if (property === UNIT_SET_PREEMPTED) return setPreempted(unit, number);
  else if (property === UNIT_SET_REGISTRANTS) return setRegistrants(unit, number);
  else if (
    property === UNIT_SET_LEFTOVERS ||
    property === UNIT_SET_ALUA_EXPLICIT ||
    property === UNIT_SET_PATROL_READ ||
    property === UNIT_SET_SHARED
  )
    return setSwitch(unit, property, number);
  else return setTimeout(unit, property, number);
  return 0;
}

/** What is on (1) or off (0). */
function setSwitch(unit: Unit, property: u32, on: u32): i32 {
  if (on > 1) return -(<i32>ERROR_RANGE);
  if (property === UNIT_SET_LEFTOVERS) leftoversSet(unit, on);
  else if (property === UNIT_SET_SHARED) unit.shared = <u8>on;
  else if (property === UNIT_SET_PATROL_READ) unit.patrolRead = on;
  else {
    unit.aluaExplicit = on;
    groupsConsiderSet(unit);
  }
  return 0;
}

function setRegistration(unit: Unit, required: u32): i32 {
  const answer = registrationRequire(unit, required);
  if (answer === 0) unitRefresh(unit, REASON_RESERVATION, 0, 0);
  return answer;
}

/** The unit may balance in cluster mode (1), or not any more. */
function setRegistrants(unit: Unit, on: u32): i32 {
  if (on > 1) return -(<i32>ERROR_RANGE);
  if (registrantsSet(unit, on)) unitRefresh(unit, REASON_RESERVATION, 0, 0);
  return 0;
}

/** Another host owns the unit (1): every request is refused, those in flight too, and nothing more is sent. */
function setPreempted(unit: Unit, preempted: u32): i32 {
  if (preempted > 1) return -(<i32>ERROR_RANGE);
  if (<u32>unit.preempted === preempted) return 0;
  unit.preempted = <u8>preempted;
  unit.draining = 1;
  unit.flags = preempted !== 0 ? unit.flags | UNIT_FLAG_PREEMPTED : unit.flags & ~UNIT_FLAG_PREEMPTED;
  registrationsDoubt(unit);
  registrantsSet(unit, 0);
  unitRefresh(unit, REASON_RESERVATION, 0, 0);
  if (preempted !== 0) while (unit.requestFirst !== 0) requestAbandon(listsOf(unit).requests.first, EPERM);
  return 0;
}

/** No path answers: every request is answered with an error, those in flight on silent paths too. */
function failAll(unit: Unit): void {
  let failed: u32 = 0;
  for (; unit.requestFirst !== 0; failed++) requestAbandon(listsOf(unit).requests.first, EIO);
  if (failed !== 0) event(EVENT_NO_PATH_FAILED, REASON_OPERATOR, unit.index, NONE, failed, 0, 0, 0);
  unit.waiting = 0;
}

function resetStatistics(unit: Unit): void {
  unit.latencyNsMax = 0;
  statisticsReset(unit.statistics, STATISTICS_UNIT_BYTES);
  for (let rest = unit.paths; rest !== 0; rest &= rest - 1) statisticsReset(unitPath(unit, ctz(rest)).statistics);
}

function setTimeout(unit: Unit, property: u32, ms: u32): i32 {
  const ns = <u64>ms * MILLISECOND;
  if (<i64>ms > TIMEOUT_MS_MAX) return -(<i32>ERROR_RANGE);
  if (property === UNIT_SET_IO_TIMEOUT_MS) {
    if (ms === 0) return -(<i32>ERROR_RANGE);
    unit.ioTimeoutNs = ns;
    // The list of requests is in the order of their deadlines, so they all get the new one.
    for (let request = listsOf(unit).requests.first; changetype<usize>(request) !== 0; request = request.unitNext) {
      request.deadlineNs = request.sinceNs + ns;
    }
    wakeUnit(unit, now);
  } else if (property === UNIT_SET_NO_PATH_TIMEOUT_MS) {
    unit.noPathTimeoutNs = ns;
    wakeUnit(unit, now);
  } else if (property === UNIT_SET_STALL_MIN_MS || property === UNIT_SET_STALL_MAX_MS) {
    if (property === UNIT_SET_STALL_MIN_MS) unit.stallMinNs = ns;
    else unit.stallMaxNs = ns;
    stallThreshold(unit);
    wakeUnit(unit, now);
  } else if (property === UNIT_SET_ORPHAN_RESET_MS) unit.orphanResetNs = ns;
  else if (property === UNIT_SET_LOST_RESET_MS) unit.lostResetNs = ns;
  else if (property === UNIT_SET_COMMAND_TIMEOUT_MS) unit.commandTimeoutNs = ms === 0 ? NEVER : ns;
  else return -(<i32>ERROR_PROPERTY);
  return 0;
}

function setBlocks(unit: Unit, blocks: u64): i32 {
  if (blocks > BLOCKS_MAX) return -(<i32>ERROR_RANGE);
  unit.blocks = blocks;
  return 0;
}

function setBlockBytes(unit: Unit, bytes: u32): i32 {
  if (bytes !== BLOCK_BYTES_SHORT && bytes !== BLOCK_BYTES_LONG) return -(<i32>ERROR_RANGE);
  if (unit.blockBytes !== bytes && unit.slotsHeld !== 0) return -(<i32>ERROR_BUSY);
  unit.blockBytes = bytes;
  unit.blockShift = ctz(bytes);
  return 0;
}

/** Pieces start at page boundaries, so a limit below a page cannot be kept. */
function setTransfer(unit: Unit, blocks: u32): i32 {
  if (unit.blockBytes === 0) return -(<i32>ERROR_RANGE);
  const bytes = min(<u64>blocks * <u64>unit.blockBytes, <u64>PIECE_BYTES_MAX) & ~(<u64>BUFFER_PAGE_BYTES - 1);
  if (blocks !== 0 && bytes === 0) return -(<i32>ERROR_RANGE);
  unit.transferBytes = blocks === 0 ? PIECE_BYTES_MAX : <u32>bytes;
  return 0;
}

function spanBytes(unit: Unit, blocks: u32): u32 {
  const bytes = (<u64>blocks) << unit.blockShift;
  return blocks === 0 || bytes > <u64>ZEROING_PIECE_BYTES_MAX ? ZEROING_PIECE_BYTES_MAX : <u32>bytes;
}

function setPolicy(unit: Unit, policy: u32): i32 {
  if (policy !== POLICY_STATIC && clusterMode && unit.registrants === 0) return -(<i32>ERROR_CLUSTER_MODE);
  const answer = selectionSetPolicy(unit.selection, policy);
  if (answer < 0) return answer;
  unit.policy = policy;
  unitRefresh(unit, REASON_OPERATOR, 0, 0);
  return 0;
}

/** A parameter can change which paths are in use (a subset), so that is determined again. */
function setPolicyParameter(unit: Unit, index: u32, value: u32): i32 {
  const answer = selectionSetParameter(unit.selection, index, value);
  if (answer < 0) return answer;
  unitRefresh(unit, REASON_OPERATOR, 0, 0);
  return 0;
}

function setReleased(unit: Unit, released: u32): i32 {
  if (released > 1) return -(<i32>ERROR_RANGE);
  unit.released = released === 1 && unit.eligible === 0 ? 1 : 0;
  unit.flags = unit.released !== 0 ? unit.flags | UNIT_FLAG_RELEASED : unit.flags & ~UNIT_FLAG_RELEASED;
  if (released === 1 && (unit.eligible & ~unit.stalled) === 0) failAll(unit);
  return 0;
}
