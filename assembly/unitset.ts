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
  UNIT_SET_RELEASED,
  UNIT_SET_STALL_MAX_MS,
  UNIT_SET_STALL_MIN_MS,
  UNIT_SET_STATISTICS_RESET,
  UNIT_SET_TRANSFER_BLOCKS_MAX,
  UNIT_SET_UNMAP_BLOCKS_MAX,
  UNIT_SET_WRITE_SAME_BLOCKS_MAX,
  ZEROING_PIECE_BYTES_MAX,
} from "./abi";
import { EIO } from "./memory/errno";
import { unitAt } from "./memory/memory";
import { Request } from "./memory/records";
import { NONE, event, now } from "./memory/ring";
import { statisticsReset } from "./memory/statistics";
import { MILLISECOND, NEVER } from "./memory/time";
import { Unit } from "./memory/topology";
import { wakeUnit } from "./memory/wake";
import { groupsConsiderSet } from "./path/alua";
import { unitPath } from "./path/facts";
import { clusterMode } from "./path/mode";
import { unitRefresh } from "./path/tiers";
import { leftoversSet } from "./request/orphan";
import { requestAbandon } from "./request/request";
import { stallThreshold } from "./request/threshold";
import { hedgeSetBudget } from "./selection/hedge";
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
  const u = unitAt(handle);
  if (value < 0) return -(<i32>ERROR_RANGE);
  if (property === UNIT_SET_BLOCKS) return setBlocks(u, <u64>value);
  if (value > <i64>u32.MAX_VALUE) return -(<i32>ERROR_RANGE);
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
  else if (property === UNIT_SET_LEFTOVERS) {
    if (number > 1) return -(<i32>ERROR_RANGE);
    leftoversSet(u, number);
  } else if (property === UNIT_SET_ALUA_EXPLICIT || property === UNIT_SET_PATROL_READ) {
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
  for (; u.requestFirst !== 0; failed++) requestAbandon(changetype<Request>(u.requestFirst), EIO);
  if (failed !== 0) event(EVENT_NO_PATH_FAILED, REASON_OPERATOR, u.index, NONE, failed, 0, 0, 0);
  u.waiting = 0;
}

function resetStatistics(u: Unit): void {
  u.latencyNsMax = 0;
  statisticsReset(u.statistics);
  for (let rest = u.paths; rest !== 0; rest &= rest - 1) statisticsReset(unitPath(u, ctz(rest)).statistics);
}

function setTimeout(u: Unit, property: u32, ms: u32): i32 {
  const ns = <u64>ms * MILLISECOND;
  if (<i64>ms > TIMEOUT_MS_MAX) return -(<i32>ERROR_RANGE);
  if (property === UNIT_SET_IO_TIMEOUT_MS) {
    if (ms === 0) return -(<i32>ERROR_RANGE);
    u.ioTimeoutNs = ns;
    // The list of requests is in the order of their deadlines, so they all get the new one.
    for (let at = u.requestFirst; at !== 0; at = changetype<Request>(at).unitNext) {
      const r = changetype<Request>(at);
      r.deadlineNs = r.sinceNs + ns;
    }
    wakeUnit(u, now);
  } else if (property === UNIT_SET_NO_PATH_TIMEOUT_MS) {
    u.noPathTimeoutNs = ns;
    wakeUnit(u, now);
  } else if (property === UNIT_SET_STALL_MIN_MS || property === UNIT_SET_STALL_MAX_MS) {
    if (property === UNIT_SET_STALL_MIN_MS) u.stallMinNs = ns;
    else u.stallMaxNs = ns;
    stallThreshold(u);
    wakeUnit(u, now);
  } else if (property === UNIT_SET_ORPHAN_RESET_MS) u.orphanResetNs = ns;
  else if (property === UNIT_SET_LOST_RESET_MS) u.lostResetNs = ns;
  else if (property === UNIT_SET_COMMAND_TIMEOUT_MS) u.commandTimeoutNs = ms === 0 ? NEVER : ns;
  else return -(<i32>ERROR_PROPERTY);
  return 0;
}

function setBlocks(u: Unit, blocks: u64): i32 {
  if (blocks > BLOCKS_MAX) return -(<i32>ERROR_RANGE);
  u.blocks = blocks;
  return 0;
}

function setBlockBytes(u: Unit, bytes: u32): i32 {
  if (bytes !== BLOCK_BYTES_SHORT && bytes !== BLOCK_BYTES_LONG) return -(<i32>ERROR_RANGE);
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
  return blocks === 0 || bytes > <u64>ZEROING_PIECE_BYTES_MAX ? ZEROING_PIECE_BYTES_MAX : <u32>bytes;
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
