// A request's life; docs/architecture.md draws its states (REQUEST_* of records.ts) and the functions that change them. records.ts
// says who owns what.
//
// - It takes its slot and all its buffers at once or not at all, so two requests can never wait for each other.
// - It is accepted when its payload is complete; its deadline counts from then.
// - The first error settles the answer: no further piece is made and waiting commands are dropped, but commands in flight are
//   awaited, because a write that has been answered must not land later. Only the deadline (or the end of the wait for a path, or
//   of its connection) ends it earlier; its commands in flight then become open orphans, see orphan.ts.
// - Its slot and buffers are free when its reply has left and the host has returned its last command slot.

import { answerReady } from "../memory/due";
import { EIO } from "../memory/errno";
import {
  COMMAND_DEAD,
  COMMAND_FLIGHT,
  COMMAND_KEPT,
  Client,
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
import { statisticsBySize, statisticsError, statisticsRecord } from "../memory/statistics";
import { listsOf } from "../memory/unit-lists";
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

/** Its data is complete: its time starts now. */
export function requestAccept(request: Request): void {
  const unit = request.unit;
  assert(request.state === REQUEST_RECEIVING);
  request.acceptedNs = now;
  request.sinceNs = now;
  request.deadlineNs = now + unit.ioTimeoutNs;
  request.putOffs = 0;
  paceSeen(request.client);
  unit.requests++;
  if (request.exclusive !== EXCLUSIVE_NOT) unit.exclusives++;
  listsOf(unit).requests.push(request);
  wakeUnit(unit, request.deadlineNs);
  if (request.method === METHOD_NONE || request.total === 0) {
    request.state = REQUEST_FLIGHT;
    requestPiecesDone(request);
  } else requestQueue(request);
}

/** One of its pieces is settled. */
export function requestPieceSettled(request: Request): void {
  assert(request.pieces !== 0);
  request.pieces--;
  if (request.error === 0) longProgress(request, request.pieces === 0 && request.cut === request.total);
  if (request.pieces !== 0) {
    // A trim that had no room for another parameter list.
    if (request.state === REQUEST_FLIGHT && request.cut < request.total && request.error === 0) requestQueue(request);
    return;
  }
  if (request.cut === request.total || request.error !== 0) requestPiecesDone(request);
  else if (request.state === REQUEST_FLIGHT) requestQueue(request);
}

/** Its pieces are settled: on to SYNCHRONIZE CACHE, or to the answer. */
function requestPiecesDone(request: Request): void {
  assert(request.pieces === 0);
  // Nearly always there is nothing else to do.
  if ((request.error | (<u32>(request.leg | request.syncAfter))) === 0 && request.method !== METHOD_SYNC)
    requestAnswer(request);
  else if (request.error === ERROR_AGAIN) {
    request.error = 0;
    restart(request);
  } else if (request.error === 0 && forcedInVain(request)) {
    firstWrite(request);
    restart(request);
  } else if (request.error === 0 && request.leg !== LEG_PLAIN && nextLeg(request)) {
    longProgress(request, false);
    restart(request);
  } else if (request.error === 0 && request.syncAfter !== 0 && cachesWrites(request.unit)) {
    request.syncAfter = 0;
    request.method = METHOD_SYNC;
    request.total = 1;
    restart(request);
  } else requestAnswer(request);
}

function restart(request: Request): void {
  request.cut = 0;
  stopCutting(request);
  requestQueue(request);
}

/** Not an answer: what was begun has to end, then everything is done again with the request's new method. */
export const ERROR_AGAIN: u32 = 0xffff;

/** An error settles its answer, which is given when its commands in flight have ended. */
export function requestFail(request: Request, error: u32): void {
  stopRest(request, error);
  if (request.pieces === 0) requestPiecesDone(request);
}

/** No more pieces are made, and waiting pieces are dropped. */
function stopRest(request: Request, error: u32): void {
  if (request.error === 0 || request.error === ERROR_AGAIN) request.error = error;
  stopCutting(request);
  for (let next = request.commands.first; changetype<usize>(next) !== 0;) {
    const command = next;
    next = command.nextOfRequest;
    if (command.state === COMMAND_FLIGHT || command.state === COMMAND_KEPT) continue;
    assert((command.flags & COMMAND_DEAD) === 0);
    const duplicate = commandDuplicate(command);
    commandDrop(command);
    if (!duplicate) request.pieces--;
  }
}

function stopCutting(request: Request): void {
  if (request.state === REQUEST_QUEUED || request.state === REQUEST_LINED) requestUnqueue(request, REQUEST_FLIGHT);
  else if (request.state === REQUEST_HELD) {
    listsOf(request.unit).held.remove(request);
    request.state = REQUEST_FLIGHT;
  }
}

/** Answers with `error` now; its commands in the host become orphans. */
export function requestAbandon(request: Request, error: u32): void {
  stopRest(request, error);
  for (let command = request.commands.first; changetype<usize>(command) !== 0; command = command.nextOfRequest) {
    if (command.state === COMMAND_FLIGHT && (command.flags & COMMAND_DEAD) === 0) commandGivenUp(command);
  }
  request.pieces = 0;
  requestAnswer(request);
}

/** Nobody reads the answers for `client`: no more of its work is started, and its commands in the host become orphans. */
export function requestsGiveUp(client: Client): void {
  const unit = client.unit;
  for (let next = listsOf(unit).requests.first; changetype<usize>(next) !== 0;) {
    const request = next;
    next = request.unitNext;
    if (request.client === client) requestAbandon(request, EIO);
  }
  unit.waiting = min(unit.waiting, unit.queued + unit.retrying);
}

function requestAnswer(request: Request): void {
  const unit = request.unit;
  stopCutting(request);
  assert(request.state === REQUEST_FLIGHT);
  tellLoss(request);
  listsOf(unit).requests.remove(request);
  unit.requests--;
  if (unit.exclusives !== 0) exclusiveOver(unit, request);
  if (request.client.gone === 0) account(request);
  request.state = REQUEST_READY;
  answerReady(request);
}

/** An answer that its client gets is counted in the unit's statistics. */
function account(request: Request): void {
  const unit = request.unit;
  if (request.error === 0) unit.answered++;
  else unit.failed++;
  const latencyNs = now - request.acceptedNs;
  if (request.error !== 0) statisticsError(unit.statistics);
  else if (request.kind <= 1) {
    statisticsRecord(unit.statistics, request.kind === 1, <u32>request.askedBytes, latencyNs);
    statisticsBySize(unit.statistics, request.kind === 1, <u32>request.askedBytes, latencyNs);
  }
  if (latencyNs > unit.latencyNsMax) unit.latencyNsMax = latencyNs;
}
