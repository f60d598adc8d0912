// Zeroings and trims of many pieces. A WRITE_ZEROES or a TRIM covers up to 4 GiB and takes no buffers but for an UNMAP's
// parameter list, so nothing bounds what is accepted of them: sixteen of 4 GiB keep an array busy for a minute. So all of
// a unit's count as one request among the others:
//
// - One of them has the turn; the others wait behind it, in order. Side by side all of them would end late, and perhaps
//   too late; one after the other all but the last end early.
// - The one that has the turn makes one piece each time it is at the head of the unit's queue, and goes to its end.
// - Not more than PIECES_MAX of its pieces are under way, so it uses up neither the paths nor the command slots.
// - It passes the turn on when its last piece is made, when it has to wait for a ghost, and when an error has settled its
//   answer.
//
// One of a single piece is like any other request. How long they may take: long.ts.

import { listPush, listShift } from "./lists";
import { renew } from "./long";
import { METHOD_UNMAP, METHOD_ZERO_WRITE, REQUEST_BEHIND, REQUEST_FLIGHT, Request } from "./records";
import { requestQueue, requestUnqueue } from "./request";
import { now } from "./ring";
import { Unit } from "./topology";

const LINK: usize = offsetof<Request>("next");
const BEHIND: usize = offsetof<Unit>("behindFirst");
/** Enough to keep several paths busy; what others then wait for in the device is little. */
const PIECES_MAX: u32 = 16;

export function isZeroing(r: Request): bool {
  return r.method >= METHOD_ZERO_WRITE && r.method <= METHOD_UNMAP;
}

/** A zeroing that has more than one piece to make is at the head of the queue: takes the turn, or waits for it (false). */
export function zeroingBegin(u: Unit, r: Request): bool {
  const at = changetype<usize>(r);
  if (u.zeroing === 0) u.zeroing = at;
  if (u.zeroing === at) {
    // It has perhaps waited for others; its own time begins.
    if (r.cut === 0 && r.sinceNs !== now) renew(r);
    return true;
  }
  requestUnqueue(r, REQUEST_BEHIND);
  listPush(changetype<usize>(u) + BEHIND, at, LINK);
  return false;
}

/** It has made a piece and has more to make: the others are next. At its limit it goes on when a piece is settled. */
export function zeroingYield(r: Request): void {
  requestUnqueue(r, REQUEST_FLIGHT);
  if (r.pieces < PIECES_MAX) requestQueue(r);
}

/** It makes no piece for the time being, or none any more: passes the turn on, if it has it. */
export function zeroingOver(r: Request): void {
  const u = r.unit;
  if (u.zeroing !== changetype<usize>(r)) return;
  u.zeroing = listShift(changetype<usize>(u) + BEHIND, LINK);
  if (u.zeroing === 0) return;
  requestQueue(changetype<Request>(u.zeroing));
}
