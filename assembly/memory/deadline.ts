// A unit's requests in the order of their deadlines, and how one gets its time anew. Each has one deadline. What gives it more is
// its own progress, or that of what is before it (request/long.ts), each step of which is made once; and what was not its
// own to wait for, of which it is told how long that takes: so often that all of it is not longer than that.

import { listPush, listRemove } from "./lists";
import { Request } from "./records";
import { now } from "./ring";
import { Unit } from "./topology";

const UNIT_REQUESTS: usize = offsetof<Unit>("requestFirst");

const UNIT_LINK: usize = offsetof<Request>("unitNext");

/** The time of `r` begins anew. The list of requests is in the order of their deadlines; none is later than one that begins now. */
export function renew(r: Request): void {
  const u = r.unit;
  r.sinceNs = now;
  r.deadlineNs = now + u.ioTimeoutNs;
  listRemove(changetype<usize>(u) + UNIT_REQUESTS, changetype<usize>(r), UNIT_LINK);
  listPush(changetype<usize>(u) + UNIT_REQUESTS, changetype<usize>(r), UNIT_LINK);
}

/** The time of `r` begins anew though it made no progress, if it was not put off for `patienceNs` already. */
export function putOff(r: Request, patienceNs: u64): bool {
  if (r.putOffs === u8.MAX_VALUE || <u64>r.putOffs * r.unit.ioTimeoutNs >= patienceNs) return false;
  r.putOffs++;
  renew(r);
  return true;
}

/** The same for all requests of a unit; those that were put off for so long already keep their deadlines. */
export function putOffAll(u: Unit, patienceNs: u64): void {
  const last = u.requestLast;
  for (let at = u.requestFirst; at !== 0;) {
    const r = changetype<Request>(at);
    const isLast = at === last;
    at = r.unitNext;
    putOff(r, patienceNs);
    if (isLast) return;
  }
}
