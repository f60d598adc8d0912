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
export function pathFailed(p: Path, reason: u32, sense: u32, hostStatus: u16): void {
  p.errors++;
  statisticsError(p.statistics);
  p.lastSense = sense;
  p.lastHostStatus = hostStatus;
  if ((p.flags & PATH_FLAG_FAILED) !== 0) return;
  marginalCountOne(p);
  pathEnters(p, PATH_FLAG_FAILED, reason === REASON_TIMEOUT ? BY_SILENCE : BY_IO);
  p.sinceNs = hostNow;
  event(EVENT_PATH_ERROR_IO, reason, p.unitHandle, p.index, 0, 0, sense, hostStatus);
  unitRefresh(p.unit, reason, sense, hostStatus);
}

/** A failed path has answered something given up long ago: perhaps it is back. */
export function pathBack(p: Path): void {
  if ((p.flags & PATH_FLAG_FAILED) === 0 || p.heldDown !== 0 || p.back !== 0 || !patrolRecovers()) return;
  checkBack(p, REASON_PATROL);
}

/** The path's asymmetric access state is `state` now. */
export function pathAluaState(p: Path, state: u32, sense: u32): void {
  const before = <u32>p.alua;
  if (before === state) return;
  p.alua = <u8>state;
  event(EVENT_ALUA_CHANGED, REASON_ALUA, p.unitHandle, p.index, before, state, sense, 0);
  unitRefresh(p.unit, REASON_ALUA, sense, 0);
}

export function setDepth(u: Unit, p: Path, depth: u32): void {
  const bit = (<u32>1) << (<u32>p.slot);
  p.depth = depth;
  p.sinceDepthChange = 0;
  u.full = p.inFlight >= depth ? u.full | bit : u.full & ~bit;
}

/** BUSY or TASK SET FULL: the device accepts no more than what is in flight now. */
export function pathDepthLower(u: Unit, p: Path): void {
  setDepth(u, p, max<u32>(1, min(p.depth - 1, p.inFlight)));
}

/** A good completion while the depth is lowered: after enough of them one more command may be in flight. */
export function pathDepthGood(u: Unit, p: Path): void {
  p.sinceDepthChange++;
  if (p.sinceDepthChange >= DEPTH_GOOD) setDepth(u, p, p.depth + 1);
}
