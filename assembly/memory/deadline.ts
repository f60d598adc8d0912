// A unit's requests in the order of their deadlines, and how one gets its time anew.

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

/** Requests have waited beyond their time for what was not theirs: all of them begin anew. */
export function renewAll(u: Unit): void {
  for (let at = u.requestFirst; at !== 0; at = changetype<Request>(at).unitNext) {
    const r = changetype<Request>(at);
    r.sinceNs = now;
    r.deadlineNs = now + u.ioTimeoutNs;
  }
}
