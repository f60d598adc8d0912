// Who is next on a unit when not everything can go out at once. Each client has three lanes, of small I/O, of large I/O,
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

import { LANE_QUANTUM_BYTES, LARGE_BYTES } from "../abi";
import { listPush, listRemove } from "../memory/lists";
import { Client, LANE_BYTES, Lane, REQUEST_LINED, Request } from "../memory/records";
import { Unit } from "../memory/topology";
import { isZeroing } from "./zeroing";

const LINK: usize = offsetof<Request>("next");
const QUEUE: usize = offsetof<Unit>("queueFirst");
const SMALL_LANES: usize = offsetof<Unit>("smallFirst");
const LARGE_LANES: usize = offsetof<Unit>("largeFirst");
const LANES: usize = offsetof<Client>("lanes0");
const LANE_LINK: usize = offsetof<Lane>("next");

export const LANE_SMALL: u8 = 0;
export const LANE_LARGE: u8 = 1;
const LANE_ZERO: u8 = 2;

function laneOf(r: Request): Lane {
  return changetype<Lane>(changetype<usize>(r.client) + LANES + <usize>r.lane * LANE_BYTES);
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
