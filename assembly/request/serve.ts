// Everything a unit has to send, as far as its paths take it: commands to be sent again, then its queue, then its flows.

import { FLOW_CHARGE_BYTES_MAX, FLOW_CHARGE_BYTES_MIN, FLOW_QUANTUM_BYTES, LARGE_BYTES } from "../abi";
import { listFirst, listNext, listPush, listRemove, listShift } from "../memory/lists";
import { Command, Flow, METHOD_UNMAP, REQUEST_HELD, REQUEST_LINED, REQUEST_QUEUED, Request } from "../memory/records";
import { now } from "../memory/ring";
import { Unit } from "../memory/topology";
import { wakeUnit } from "../memory/wake";
import {
  NO_PATH,
  NO_ROOM,
  ONLY_STALLED,
  PIECE_BLOCKED,
  choose,
  dispatchPiece,
  dispatchRequest,
  issue,
  pieceBytes,
} from "./dispatch";
import { commandOverlapsOrphan } from "./orphan";
import { FLOW_LARGE, FLOW_SMALL, flowEnter } from "./flows";
import { isShared, paceBytes, paceIdle, paceOpen, patienceEndNs } from "./pace";
import { requestUnqueue } from "./queue";
import { nextRound, noPath, pause } from "./retry";
import { mustWait } from "./wait";
import { isZeroing } from "./zeroing";

const LINK: usize = offsetof<Command>("next");

const RETRY: usize = offsetof<Unit>("retryFirst");
const FLOW_LINK: usize = offsetof<Flow>("next");
const LARGE_FLOWS: usize = offsetof<Unit>("largeFirst");
const SMALL_FLOWS: usize = offsetof<Unit>("smallFirst");

/** As many pieces as paths and pace take. */
const ALL: u32 = u32.MAX_VALUE;

/** Carries out what a unit has to do, as far as its paths take it. */
export function unitDispatch(u: Unit): void {
  for (let at = u.retryFirst; at !== 0;) {
    const c = changetype<Command>(at);
    at = listNext(at, LINK);
    if (commandOverlapsOrphan(u, c)) continue;
    const slot = choose(u, c);
    if (slot < 0) {
      if (slot === NO_PATH) return noPath(u);
      if (slot === NO_ROOM) continue;
      if (slot === ONLY_STALLED) pause(c);
      else if (!nextRound(c)) at = u.retryFirst;
      continue;
    }
    listRemove(changetype<usize>(u) + RETRY, changetype<usize>(c), LINK);
    u.retrying--;
    issue(c, <u32>slot);
  }
  while (u.queueFirst !== 0) {
    const r = changetype<Request>(u.queueFirst);
    if (u.flows !== 0 || wantsFlow(u, r)) flowEnter(u, r);
    else if ((u.harmful | u.exclusives) !== 0 && mustWait(u, r)) {
      // It has failed rather than write data it read before something was found.
      if (r.state !== REQUEST_QUEUED) continue;
      requestUnqueue(r, REQUEST_HELD);
    } else if (!dispatchRequest(u, r)) {
      // Not all of it can be sent: from here on requests take turns.
      if (r.state === REQUEST_QUEUED) flowEnter(u, r);
    }
  }
  flowsServe(u);
}

/** Whether `r`, at the head of its unit's queue, has to wait in a flow though nobody does. */
function wantsFlow(u: Unit, r: Request): bool {
  const rest = r.total - r.cut;
  if (rest < LARGE_BYTES) return false;
  return isShared() ? r.method <= METHOD_UNMAP : isZeroing(r) && pieceBytes(u, r) < rest;
}

/** The flow at the head has had its turn. */
function rotate(list: usize): void {
  listPush(list, listShift(list, FLOW_LINK), FLOW_LINK);
}

/** Sends what the flows hold, as far as paths and pace take it. */
function flowsServe(u: Unit): void {
  // Small I/O first; but it must not starve large I/O, which then makes up for it.
  if (u.largeFirst === 0) u.smallCredit = 0;
  else if (u.smallFirst !== 0 && u.smallCredit === 0 && paceIdle(u) && !serve(u, LARGE_FLOWS, 1)) return;
  if (u.smallFirst !== 0 && !serve(u, SMALL_FLOWS, ALL)) return;
  if (u.largeFirst !== 0) serve(u, LARGE_FLOWS, ALL);
}

/** Serves the flows of a list, up to `most` pieces; false when no path takes anything now. */
function serve(u: Unit, field: usize, most: u32): bool {
  const list = changetype<usize>(u) + field;
  let left = most;
  // Consecutive zeroings whose next piece may not be sent now.
  let closed: u32 = 0;
  while (listFirst(list) !== 0 && left !== 0) {
    const flow = changetype<Flow>(listFirst(list));
    const r = changetype<Request>(flow.first);
    if ((u.harmful | u.exclusives) !== 0 && mustWait(u, r)) {
      if (r.state === REQUEST_LINED) requestUnqueue(r, REQUEST_HELD);
      closed = 0;
      continue;
    }
    const bytes = pieceBytes(u, r);
    const cost = <u32>min<u64>(max<u64>(paceBytes(u, r.method, bytes), FLOW_CHARGE_BYTES_MIN), FLOW_CHARGE_BYTES_MAX);
    if (flow.deficit < cost && flow.next !== 0) {
      flow.deficit += FLOW_QUANTUM_BYTES;
      closed = 0;
      rotate(list);
      continue;
    }
    if (r.flow !== FLOW_SMALL && !paceOpen(u, r.method, bytes)) {
      if (patienceEndNs(u) > now) wakeUnit(u, patienceEndNs(u));
      // It keeps its turn, or whichever may have more in flight would always be before it. Only where zeroings are under way
      // already data does not wait for their end.
      if (r.flow === FLOW_LARGE || u.paceZeroes === 0 || flow.next === 0) return true;
      closed++;
      if (closed > u.flows) return true;
      rotate(list);
      continue;
    }
    closed = 0;
    if (dispatchPiece(u, r) === PIECE_BLOCKED) return false;
    flow.deficit -= min(cost, flow.deficit);
    if (most === 1) u.smallCredit = cost;
    else if (field === SMALL_FLOWS) u.smallCredit -= min(cost, u.smallCredit);
    left--;
  }
  return true;
}
