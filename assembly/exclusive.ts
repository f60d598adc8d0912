// Requests that read the blocks at their edges before they write them (legs.ts): from that read to the end of their write
// nobody else may change those blocks, or what he has written would be undone.
//
// - Such a request begins when no request that overlaps it is under way, and no ghost that its write would wait for.
//   From then on whatever would change what it covers waits until it is answered.
// - They wait for each other in the order of their acceptance, and what was accepted after one that waits, and overlaps
//   it, waits behind it: so a stream of writes does not starve it.
// - No two requests wait for each other: one that is under way waits for none, and of two that are not, the one with the edges
//   waits for an earlier one of its kind only, the other one for it.
// - When it ends early, by its deadline or because its client has gone, what the host has of it is an open ghost: the others wait
//   for that (ghost.ts). One that only reads leaves nothing to wait for.
// - Reads do not wait: each of the writes in question is under way, so either content is right.
//
// Without such requests a unit pays one comparison for each request.

import { requestOverlapsGhost } from "./ghost";
import { edgesRead } from "./legs";
import { NBD_EIO, NBD_TRIM, NBD_WRITE, NBD_WRITE_ZEROES } from "./nbd";
import { Request } from "./records";
import { requestFail, requestsRelease } from "./request";
import { Unit } from "./topology";

/** It is like any other. */
export const EXCLUSIVE_NOT: u8 = 0;
/** It has not begun yet. */
export const EXCLUSIVE_WANTED: u8 = 1;
/** It has begun: nobody else changes what it covers. */
const EXCLUSIVE_HAS: u8 = 2;

/** Whether nothing of `r` may go out now. It may have failed then (its state tells). */
export function mustWait(u: Unit, r: Request): bool {
  if (u.harmful !== 0 && requestOverlapsGhost(u, r)) {
    // An earlier daemon's commands were found behind its back: what it has read may not hold any more.
    if (u.inherited !== 0 && r.exclusive === EXCLUSIVE_HAS && edgesRead(r)) requestFail(r, NBD_EIO);
    return true;
  }
  return u.exclusives !== 0 && !mayBegin(u, r);
}

function changes(r: Request): bool {
  const kind = <u32>r.kind;
  return kind === NBD_WRITE || kind === NBD_TRIM || kind === NBD_WRITE_ZEROES;
}

function begun(r: Request): bool {
  return r.cut !== 0 || r.commandFirst !== 0 || r.exclusive === EXCLUSIVE_HAS;
}

function overlap(a: Request, b: Request, block: u64): bool {
  const mask = ~(block - 1);
  const aFirst = a.askedOffset & mask;
  const bFirst = b.askedOffset & mask;
  const aEnd = (a.askedOffset + a.askedBytes + block - 1) & mask;
  const bEnd = (b.askedOffset + b.askedBytes + block - 1) & mask;
  return aFirst < bEnd && bFirst < aEnd;
}

/** Whether `r` need not wait for one with edges, or, being one, for anybody. */
function mayBegin(u: Unit, r: Request): bool {
  if (!changes(r) || begun(r)) return true;
  const block = <u64>u.blockBytes;
  let earlier = true;
  for (let at = u.requestFirst; at !== 0;) {
    const other = changetype<Request>(at);
    at = other.unitNext;
    if (other === r) {
      earlier = false;
      continue;
    }
    if ((r.exclusive | other.exclusive) === 0 || !changes(other) || !overlap(r, other, block)) continue;
    if (begun(other) || (earlier && other.exclusive !== EXCLUSIVE_NOT)) return false;
  }
  if (r.exclusive !== EXCLUSIVE_NOT) r.exclusive = EXCLUSIVE_HAS;
  return true;
}

/** A request is answered: whoever waited for it asks again. */
export function exclusiveOver(u: Unit, r: Request): void {
  if (r.exclusive !== EXCLUSIVE_NOT) u.exclusives--;
  requestsRelease(u);
}
