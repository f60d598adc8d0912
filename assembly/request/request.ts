// A request's life: taken (header parsed, buffers allocated) - receiving (a write's payload) - queued - in flight - ready -
// sending - over. See records.ts for who owns what.
//
// - It takes its slot and all its buffers at once or not at all, so two requests can never wait for each other.
// - It is accepted when its payload is complete; its deadline counts from then.
// - The first error settles the answer: no further piece is made and waiting commands are dropped, but commands in flight are
//   awaited, because a write that has been answered must not land later. Only the deadline (or the end of the wait for a path, or
//   of its connection) ends it earlier; its commands in flight then become open orphans, see orphan.ts.
// - Its slot and buffers are free when its reply has left and the host has returned its last command slot.

import { answerReady } from "../memory/due";
import { EIO } from "../memory/errno";
import { listNext, listPush, listRemove } from "../memory/lists";
import {
  COMMAND_DEAD,
  COMMAND_FLIGHT,
  COMMAND_KEPT,
  Client,
  Command,
  METHOD_NONE,
  METHOD_SYNC,
  REQUEST_FLIGHT,
  REQUEST_HELD,
  REQUEST_LINED,
  REQUEST_QUEUED,
  REQUEST_READY,
  REQUEST_RECEIVING,
  Request,
} from "../memory/records";
import { now } from "../memory/ring";
import { statisticsError, statisticsRecord } from "../memory/statistics";
import { Unit } from "../memory/topology";
import { wakeUnit } from "../memory/wake";
import { cachesWrites, forcedInVain, tellLoss } from "./cache";
import { EXCLUSIVE_NOT, exclusiveOver } from "./exclusive";
import { commandGivenUp } from "./orphan";
import { LEG_PLAIN, firstWrite, nextLeg } from "./legs";
import { longProgress } from "./long";
import { paceSeen } from "./pace";
import { commandDuplicate } from "./pieces";
import { requestQueue, requestUnqueue } from "./queue";
import { commandDrop } from "./slots";

const LINK: usize = offsetof<Request>("next");
const UNIT_LINK: usize = offsetof<Request>("unitNext");
const OF_REQUEST: usize = offsetof<Command>("nextOfRequest");
const HELD: usize = offsetof<Unit>("heldFirst");
const UNIT_REQUESTS: usize = offsetof<Unit>("requestFirst");

/** Its data is complete: its time starts now. */
export function requestAccept(r: Request): void {
  const u = r.unit;
  assert(r.state === REQUEST_RECEIVING);
  r.acceptedNs = now;
  r.sinceNs = now;
  r.deadlineNs = now + u.ioTimeoutNs;
  r.putOffs = 0;
  paceSeen(r.client);
  u.requests++;
  if (r.exclusive !== EXCLUSIVE_NOT) u.exclusives++;
  listPush(changetype<usize>(u) + UNIT_REQUESTS, changetype<usize>(r), UNIT_LINK);
  wakeUnit(u, r.deadlineNs);
  if (r.method === METHOD_NONE || r.total === 0) {
    r.state = REQUEST_FLIGHT;
    requestPiecesDone(r);
  } else requestQueue(r);
}

/** One of its pieces is settled. */
export function requestPieceSettled(r: Request): void {
  assert(r.pieces !== 0);
  r.pieces--;
  if (r.error === 0) longProgress(r, r.pieces === 0 && r.cut === r.total);
  if (r.pieces !== 0) {
    // A trim that had no room for another parameter list.
    if (r.state === REQUEST_FLIGHT && r.cut < r.total && r.error === 0) requestQueue(r);
    return;
  }
  if (r.cut === r.total || r.error !== 0) requestPiecesDone(r);
  else if (r.state === REQUEST_FLIGHT) requestQueue(r);
}

/** Its pieces are settled: on to SYNCHRONIZE CACHE, or to the answer. */
function requestPiecesDone(r: Request): void {
  assert(r.pieces === 0);
  if (r.error === ERROR_AGAIN) {
    r.error = 0;
    restart(r);
  } else if (r.error === 0 && forcedInVain(r)) {
    firstWrite(r);
    restart(r);
  } else if (r.error === 0 && r.leg !== LEG_PLAIN && nextLeg(r)) {
    longProgress(r, false);
    restart(r);
  } else if (r.error === 0 && r.syncAfter !== 0 && cachesWrites(r.unit)) {
    r.syncAfter = 0;
    r.method = METHOD_SYNC;
    r.total = 1;
    restart(r);
  } else requestAnswer(r);
}

function restart(r: Request): void {
  r.cut = 0;
  stopCutting(r);
  requestQueue(r);
}

/** Not an answer: what was begun has to end, then everything is done again with the request's new method. */
export const ERROR_AGAIN: u32 = 0xffff;

/** An error settles its answer, which is given when its commands in flight have ended. */
export function requestFail(r: Request, error: u32): void {
  stopRest(r, error);
  if (r.pieces === 0) requestPiecesDone(r);
}

/** No more pieces are made, and waiting pieces are dropped. */
function stopRest(r: Request, error: u32): void {
  if (r.error === 0 || r.error === ERROR_AGAIN) r.error = error;
  stopCutting(r);
  for (let at = r.commandFirst; at !== 0;) {
    const c = changetype<Command>(at);
    at = listNext(at, OF_REQUEST);
    if (c.state === COMMAND_FLIGHT || c.state === COMMAND_KEPT) continue;
    assert((c.flags & COMMAND_DEAD) === 0);
    const duplicate = commandDuplicate(c);
    commandDrop(c);
    if (!duplicate) r.pieces--;
  }
}

function stopCutting(r: Request): void {
  if (r.state === REQUEST_QUEUED || r.state === REQUEST_LINED) requestUnqueue(r, REQUEST_FLIGHT);
  else if (r.state === REQUEST_HELD) {
    listRemove(changetype<usize>(r.unit) + HELD, changetype<usize>(r), LINK);
    r.state = REQUEST_FLIGHT;
  }
}

/** Answers with `error` now; its commands in the host become orphans. */
export function requestAbandon(r: Request, error: u32): void {
  stopRest(r, error);
  for (let at = r.commandFirst; at !== 0; at = listNext(at, OF_REQUEST)) {
    const c = changetype<Command>(at);
    if (c.state === COMMAND_FLIGHT && (c.flags & COMMAND_DEAD) === 0) commandGivenUp(c);
  }
  r.pieces = 0;
  requestAnswer(r);
}

/** Nobody reads the answers for `n`: no more of its work is started, and its commands in the host become orphans. */
export function requestsGiveUp(n: Client): void {
  const u = n.unit;
  for (let at = u.requestFirst; at !== 0;) {
    const r = changetype<Request>(at);
    at = r.unitNext;
    if (r.client === n) requestAbandon(r, EIO);
  }
  u.waiting = min(u.waiting, u.queued + u.retrying);
}

function requestAnswer(r: Request): void {
  const u = r.unit;
  stopCutting(r);
  assert(r.state === REQUEST_FLIGHT);
  tellLoss(r);
  listRemove(changetype<usize>(u) + UNIT_REQUESTS, changetype<usize>(r), UNIT_LINK);
  u.requests--;
  if (u.exclusives !== 0) exclusiveOver(u, r);
  if (r.client.gone === 0) account(r);
  r.state = REQUEST_READY;
  answerReady(r);
}

/** An answer that its client gets is counted in the unit's statistics. */
function account(r: Request): void {
  const u = r.unit;
  if (r.error === 0) u.answered++;
  else u.failed++;
  const latencyNs = now - r.acceptedNs;
  if (r.error !== 0) statisticsError(u.statistics);
  else if (r.kind <= 1) statisticsRecord(u.statistics, r.kind === 1, <u32>r.askedBytes, latencyNs);
  if (latencyNs > u.latencyNsMax) u.latencyNsMax = latencyNs;
}
