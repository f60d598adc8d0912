// State changes of a path caused by its I/O: failed, perhaps back, another access state, less depth.

import {
  EVENT_ALUA_CHANGED,
  EVENT_PATH_ERROR_IO,
  PATH_FLAG_FAILED,
  REASON_ALUA,
  REASON_PATROL,
  REASON_TIMEOUT,
} from "../abi";
import { event, hostNow } from "../memory/ring";
import { statisticsError } from "../memory/statistics";
import { Path, Unit } from "../memory/topology";
import { checkBack } from "./ask";
import { patrolRecovers } from "./mode";
import { marginalCountOne } from "./marginal";
import { BY_IO, BY_SILENCE, pathEnters } from "./states";
import { unitRefresh } from "./tiers";

/** Completions without BUSY after which a lowered depth is raised by one. */
const DEPTH_GOOD: u32 = 64;

/** An I/O showed that the path cannot be used. */
export function pathFailed(path: Path, reason: u32, sense: u32, hostStatus: u16): void {
  path.errors++;
  statisticsError(path.statistics);
  path.lastSense = sense;
  path.lastHostStatus = hostStatus;
  if ((path.flags & PATH_FLAG_FAILED) !== 0) return;
  marginalCountOne(path);
  pathEnters(path, PATH_FLAG_FAILED, reason === REASON_TIMEOUT ? BY_SILENCE : BY_IO);
  path.sinceNs = hostNow;
  event(EVENT_PATH_ERROR_IO, reason, path.unitHandle, path.index, 0, 0, sense, hostStatus);
  unitRefresh(path.unit, reason, sense, hostStatus);
}

/** A failed path has answered something given up long ago: perhaps it is back. */
export function pathBack(path: Path): void {
  if ((path.flags & PATH_FLAG_FAILED) === 0 || path.heldDown !== 0 || path.back !== 0 || !patrolRecovers()) return;
  checkBack(path, REASON_PATROL);
}

/** The path's asymmetric access state is `state` now. */
export function pathAluaState(path: Path, state: u32, sense: u32): void {
  const before = <u32>path.alua;
  if (before === state) return;
  path.alua = <u8>state;
  event(EVENT_ALUA_CHANGED, REASON_ALUA, path.unitHandle, path.index, before, state, sense, 0);
  unitRefresh(path.unit, REASON_ALUA, sense, 0);
}

export function setDepth(unit: Unit, path: Path, depth: u32): void {
  const bit = (<u32>1) << (<u32>path.slot);
  path.depth = depth;
  path.sinceDepthChange = 0;
  unit.full = path.inFlight >= depth ? unit.full | bit : unit.full & ~bit;
}

/** BUSY or TASK SET FULL: the device accepts no more than what is in flight now. */
export function pathDepthLower(unit: Unit, path: Path): void {
  setDepth(unit, path, max<u32>(1, min(path.depth - 1, path.inFlight)));
}

/** A good completion while the depth is lowered: after enough of them one more command may be in flight. */
export function pathDepthGood(unit: Unit, path: Path): void {
  path.sinceDepthChange++;
  if (path.sinceDepthChange >= DEPTH_GOOD) setDepth(unit, path, path.depth + 1);
}
