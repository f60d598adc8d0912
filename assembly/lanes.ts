// Who is next on a unit when not everything can go out at once. Each connection has three lanes, of small I/O, of large I/O,
// and of zeroings and trims; requests wait in them, and the unit serves its lanes in turn by deficit round robin (Shreedhar
// and Varghese): each time a lane has its turn it may send LANE_QUANTUM_BYTES more, of which what it does not use up for
// lack of one more piece is left for the next time. So what a client gets depends neither on how many requests it has sent
// nor on how large they are.
//
// - Small I/O goes past the lanes as long as they are empty, and so does a lone client's large I/O.
// - A request in a lane makes one piece at a time. Those of a lane are carried out one after the other: so most of many
//   zeroings end early, instead of all of them late.
// - What is large waits until the device has little of that kind to do (pace.ts). Small I/O passes it then, and data passes a
//   zeroing that waits for that.

import { LANE_CHARGE_BYTES_MAX, LANE_CHARGE_BYTES_MIN, LANE_QUANTUM_BYTES, LARGE_BYTES } from "./abi";
import { PIECE_BLOCKED, dispatchPiece, pieceBytes } from "./dispatch";
import { mustWait } from "./exclusive";
import { listFirst, listPush, listRemove, listShift } from "./lists";
import { renew } from "./long";
import { isShared, paceBytes, paceIdle, paceOpen, patienceEndNs } from "./pace";
import { LANES, LANE_BYTES, Lane, METHOD_UNMAP, REQUEST_HELD, REQUEST_LINED, Request } from "./records";
import { requestUnqueue } from "./request";
import { now } from "./ring";
import { timerSooner } from "./timers";
import { Unit } from "./topology";
import { isZeroing } from "./zeroing";

const LINK: usize = offsetof<Request>("next");
const QUEUE: usize = offsetof<Unit>("queueFirst");
const SMALL_LANES: usize = offsetof<Unit>("smallFirst");
const LARGE_LANES: usize = offsetof<Unit>("largeFirst");
const LANE_LINK: usize = offsetof<Lane>("next");

const LANE_SMALL: u8 = 0;
const LANE_LARGE: u8 = 1;
const LANE_ZERO: u8 = 2;

/** Whether `r`, at the head of its unit's queue, has to wait in a lane though nobody does. */
export function wantsLane(u: Unit, r: Request): bool {
  const rest = r.total - r.cut;
  if (rest < LARGE_BYTES) return false;
  return isShared() ? r.method <= METHOD_UNMAP : isZeroing(r) && pieceBytes(u, r) < rest;
}

function laneOf(r: Request): Lane {
  return changetype<Lane>(changetype<usize>(r.connection) + LANES + <usize>r.lane * LANE_BYTES);
}

/** The unit's list in which a lane is: those of small I/O have one of their own. */
function listOf(u: Unit, kind: u8): usize {
  return changetype<usize>(u) + (kind === LANE_SMALL ? SMALL_LANES : LARGE_LANES);
}

/** Puts the request at the head of the unit's queue into its lane. */
export function laneEnter(u: Unit, r: Request): void {
  listRemove(changetype<usize>(u) + QUEUE, changetype<usize>(r), LINK);
  const large = r.total - r.cut >= LARGE_BYTES;
  r.lane = large ? (isZeroing(r) ? LANE_ZERO : LANE_LARGE) : LANE_SMALL;
  r.state = REQUEST_LINED;
  const lane = laneOf(r);
  if (lane.first === 0) {
    lane.deficit = LANE_QUANTUM_BYTES;
    listPush(listOf(u, r.lane), changetype<usize>(lane), LANE_LINK);
    u.lanes++;
  }
  listPush(changetype<usize>(lane), changetype<usize>(r), LINK);
}

/** Takes a request out of its lane. */
export function laneLeave(r: Request): void {
  const u = r.unit;
  const lane = laneOf(r);
  listRemove(changetype<usize>(lane), changetype<usize>(r), LINK);
  if (lane.first !== 0) return;
  listRemove(listOf(u, r.lane), changetype<usize>(lane), LANE_LINK);
  u.lanes--;
}

/** The lane at the head has had its turn. */
function rotate(list: usize): void {
  listPush(list, listShift(list, LANE_LINK), LANE_LINK);
}

/** Sends what the lanes hold, as far as paths and pace take it. */
export function lanesServe(u: Unit): void {
  // Small I/O first; but it does not keep the large from getting anything, which it then makes up for.
  if (u.largeFirst === 0) u.smallCredit = 0;
  else if (u.smallFirst !== 0 && u.smallCredit === 0 && paceIdle(u) && !serve(u, LARGE_LANES, 1)) return;
  if (u.smallFirst !== 0 && !serve(u, SMALL_LANES, <u32>-1)) return;
  if (u.largeFirst !== 0) serve(u, LARGE_LANES, <u32>-1);
}

/** Serves the lanes of a list, up to `most` pieces; false when no path takes anything now. */
function serve(u: Unit, field: usize, most: u32): bool {
  const list = changetype<usize>(u) + field;
  let left = most;
  // Zeroings in a row whose next piece may not go out now.
  let closed: u32 = 0;
  while (listFirst(list) !== 0 && left !== 0) {
    const lane = changetype<Lane>(listFirst(list));
    const r = changetype<Request>(lane.first);
    if ((u.harmful | u.exclusives) !== 0 && mustWait(u, r)) {
      if (r.state === REQUEST_LINED) requestUnqueue(r, REQUEST_HELD);
      closed = 0;
      continue;
    }
    const bytes = pieceBytes(u, r);
    const cost = <u32>min<u64>(max<u64>(paceBytes(u, r.method, bytes), LANE_CHARGE_BYTES_MIN), LANE_CHARGE_BYTES_MAX);
    if (lane.deficit < cost && lane.next !== 0) {
      lane.deficit += LANE_QUANTUM_BYTES;
      closed = 0;
      rotate(list);
      continue;
    }
    if (r.lane !== LANE_SMALL && !paceOpen(u, r.method, bytes)) {
      if (patienceEndNs(u) > now) timerSooner(u.index, patienceEndNs(u));
      // It keeps its turn, or whichever may have more in flight would always be before it. Only where zeroings are under way
      // already data does not wait for their end.
      if (r.lane === LANE_LARGE || u.paceZeroes === 0 || lane.next === 0) return true;
      closed++;
      if (closed > u.lanes) return true;
      rotate(list);
      continue;
    }
    closed = 0;
    // It has perhaps waited for others; its own time begins.
    if (r.cut === 0 && r.sinceNs !== now && isZeroing(r)) renew(r);
    if (dispatchPiece(u, r) === PIECE_BLOCKED) return false;
    lane.deficit -= min(cost, lane.deficit);
    if (most === 1) u.smallCredit = cost;
    else if (field === SMALL_LANES) u.smallCredit -= min(cost, u.smallCredit);
    left--;
  }
  return true;
}
