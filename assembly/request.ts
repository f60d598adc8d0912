// A request's life: taken (header parsed, buffers got) - receiving (a write's payload) - queued - in flight - ready -
// sending - over. See records.ts for who owns what.
//
// - It takes its slot and all its buffers at once or not at all, so two requests can never wait for each other.
// - It is accepted when its payload is complete; its deadline counts from there.
// - The first error settles the answer: no further piece is made, commands that wait are dropped, but commands in
//   flight are waited for, because a write that is answered must not land later. Only the deadline (or the end of
//   the wait for a path, or of its connection) ends it earlier; what is in flight then becomes an open ghost, see
//   ghost.ts.
// - Its slot and buffers are free when its reply has left and its last command slot has come back from the host.

import { PIECE_BYTES_MAX } from "./abi";
import { bufferBlockBytes, bufferGive, bufferTake, buffersFree } from "./buffers";
import { cachesWrites, forcedInVain, tellLoss } from "./cache";
import { connectionGone, replyReady } from "./connection";
import { EXCLUSIVE_NOT, exclusiveOver } from "./exclusive";
import { commandGivenUp } from "./ghost";
import { LEG_PLAIN, firstWrite, nextLeg } from "./legs";
import { laneLeave } from "./lanes";
import { listFirst, listNext, listPush, listRemove, listShift } from "./lists";
import { listAll, requestCount, requests } from "./memory";
import { longProgress } from "./long";
import { NBD_EIO } from "./nbd";
import {
  COMMAND_DEAD,
  COMMAND_FLIGHT,
  COMMAND_KEPT,
  CONNECTION_CLOSING,
  Command,
  Connection,
  METHOD_NONE,
  METHOD_SYNC,
  REQUEST_BLOCKS,
  REQUEST_BLOCKS_MAX,
  REQUEST_FLIGHT,
  REQUEST_FREE,
  REQUEST_HELD,
  REQUEST_LINED,
  REQUEST_OVER,
  REQUEST_QUEUED,
  REQUEST_READY,
  REQUEST_RECEIVING,
  REQUEST_SLOT_BYTES,
  Request,
} from "./records";
import { paceSeen } from "./pace";
import { now } from "./ring";
import { commandDrop } from "./slots";
import { statisticsError, statisticsRecord } from "./statistics";
import { timerSooner } from "./timers";
import { Unit } from "./topology";
import { unitDirty } from "./unit";
import { ownRoomFreed, roomFreed, taken } from "./admission";

const LINK: usize = offsetof<Request>("next");
const LAYOUT: usize = offsetof<Request>("lead");
const UNIT_LINK: usize = offsetof<Request>("unitNext");
const SIBLING: usize = offsetof<Command>("siblingNext");
const QUEUE: usize = offsetof<Unit>("queueFirst");
const HELD: usize = offsetof<Unit>("heldFirst");
const UNIT_REQUESTS: usize = offsetof<Unit>("requestFirst");

const free: usize = memory.data(8, 8);
let freeCount: u32 = 0;

export function requestsInit(): void {
  for (let i: u32 = 0; i < requestCount; i++) {
    const r = changetype<Request>(requests + <usize>i * REQUEST_SLOT_BYTES);
    r.index = i;
  }
  listAll(free, requests, requestCount, REQUEST_SLOT_BYTES, LINK);
  freeCount = requestCount;
}

/** Request slots nobody has. */
export function requestsFree(): u32 {
  return freeCount;
}

/** Bytes of the pool that `bytes` of data take: whole MiB blocks and the next larger block for the rest. */
export function poolBytesFor(bytes: u32): u32 {
  const rest = bytes & (PIECE_BYTES_MAX - 1);
  return bytes - rest + (rest === 0 ? 0 : bufferBlockBytes(rest));
}

/**
 * Takes a slot and buffers for `bytes` of data (0: none), and one more block for edges that are read; null when any of it
 * is not to be had.
 */
export function requestTake(u: Unit, n: Connection, bytes: u32, edgeBytes: u32 = 0): Request | null {
  const wanted = poolBytesFor(bytes) + poolBytesFor(edgeBytes);
  if (freeCount === 0 || buffersFree() < wanted) return null;
  const r = changetype<Request>(listFirst(free));
  r.blockCount = 0;
  for (let rest = bytes; rest !== 0;) {
    const part = min(rest, PIECE_BYTES_MAX);
    if (!requestAddBlock(r, part)) {
      giveBlocks(r);
      return null;
    }
    rest -= part;
  }
  if (edgeBytes !== 0 && !requestAddBlock(r, edgeBytes)) {
    giveBlocks(r);
    return null;
  }
  listRemove(free, changetype<usize>(r), LINK);
  freeCount--;
  r.state = REQUEST_RECEIVING;
  r.connection = n;
  r.unit = u;
  r.error = 0;
  r.syncAfter = 0;
  r.forcedAgain = 0;
  r.cut = 0;
  r.pieces = 0;
  r.kept = 0;
  r.heldNs = 0;
  // No lead, LEG_PLAIN, EXCLUSIVE_NOT, base 0: at once, as nearly all are like this.
  store<u64>(changetype<usize>(r) + LAYOUT, 0);
  r.bufferBytes = wanted;
  u.slotsHeld++;
  u.bytesHeld += wanted;
  n.requests++;
  n.bytesHeld += wanted;
  taken();
  return r;
}

/** One more buffer; false when there is none. */
function requestAddBlock(r: Request, bytes: u32): bool {
  if (<u32>r.blockCount === REQUEST_BLOCKS_MAX) return false;
  const address = bufferTake(bytes);
  if (address === 0) return false;
  store<u32>(changetype<usize>(r) + REQUEST_BLOCKS + <usize>r.blockCount * 4, <u32>address);
  r.blockCount++;
  return true;
}

/** Address of block `index` of its data. */
export function requestBlock(r: Request, index: u32): usize {
  assert(index < <u32>r.blockCount);
  return <usize>load<u32>(changetype<usize>(r) + REQUEST_BLOCKS + <usize>index * 4);
}

function giveBlocks(r: Request): void {
  const count = <u32>r.blockCount;
  for (let i: u32 = 0; i < count; i++) bufferGive(requestBlock(r, i));
  r.blockCount = 0;
}

/** Its data is complete: from here on the clock runs. */
export function requestAccept(r: Request): void {
  const u = r.unit;
  assert(r.state === REQUEST_RECEIVING);
  r.acceptedNs = now;
  r.sinceNs = now;
  r.deadlineNs = now + u.ioTimeoutNs;
  paceSeen(r.connection);
  u.requests++;
  if (r.exclusive !== EXCLUSIVE_NOT) u.exclusives++;
  listPush(changetype<usize>(u) + UNIT_REQUESTS, changetype<usize>(r), UNIT_LINK);
  timerSooner(u.index, r.deadlineNs);
  if (r.method === METHOD_NONE || r.total === 0) {
    r.state = REQUEST_FLIGHT;
    requestPiecesDone(r);
  } else requestQueue(r);
}

/** Puts it at the end of its unit's queue. */
export function requestQueue(r: Request): void {
  const u = r.unit;
  r.state = REQUEST_QUEUED;
  listPush(changetype<usize>(u) + QUEUE, changetype<usize>(r), LINK);
  u.queued++;
  unitDirty(u);
}

/** Takes it out of its unit's queue, or its lane: all pieces are made, or it must wait for a ghost. */
export function requestUnqueue(r: Request, state: u8): void {
  const u = r.unit;
  assert(r.state === REQUEST_QUEUED || r.state === REQUEST_LINED);
  if (r.state === REQUEST_LINED) laneLeave(r);
  else listRemove(changetype<usize>(u) + QUEUE, changetype<usize>(r), LINK);
  u.queued--;
  r.state = state;
  if (state === REQUEST_HELD) {
    r.heldNs = now;
    listPush(changetype<usize>(u) + HELD, changetype<usize>(r), LINK);
  }
}

/** A ghost was settled: whoever waited for one asks again. */
export function requestsRelease(u: Unit): void {
  const held = changetype<usize>(u) + HELD;
  for (let at = listShift(held, LINK); at !== 0; at = listShift(held, LINK)) {
    const r = changetype<Request>(at);
    r.heldNs = 0;
    requestQueue(r);
  }
}

/** One of its pieces is settled. */
export function requestPieceSettled(r: Request): void {
  assert(r.pieces !== 0);
  r.pieces--;
  if (r.error === 0 && (r.pieces !== 0 || r.cut < r.total)) longProgress(r);
  if (r.pieces !== 0) {
    // A trim that had no room for one more parameter list.
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
    longProgress(r);
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

/** Not an answer: what was begun is to settle, then all of it is done again with the request's new method. */
export const ERROR_AGAIN: u32 = 0xffff;

/** An error settles its answer: it is given when what is in flight has settled. */
export function requestFail(r: Request, error: u32): void {
  stopRest(r, error);
  if (r.pieces === 0) requestPiecesDone(r);
}

/** No piece is made any more, and pieces that wait are dropped. */
function stopRest(r: Request, error: u32): void {
  if (r.error === 0 || r.error === ERROR_AGAIN) r.error = error;
  stopCutting(r);
  for (let at = r.commandFirst; at !== 0;) {
    const c = changetype<Command>(at);
    at = listNext(at, SIBLING);
    if (c.state === COMMAND_FLIGHT || c.state === COMMAND_KEPT) continue;
    assert((c.flags & COMMAND_DEAD) === 0);
    const twin = commandTwin(c);
    commandDrop(c);
    if (!twin) r.pieces--;
  }
}

/** Whether another command is under way for the same piece. */
export function commandTwin(c: Command): bool {
  const r = c.request;
  for (let at = r.commandFirst; at !== 0; at = listNext(at, SIBLING)) {
    const other = changetype<Command>(at);
    if (other !== c && other.pieceOffset === c.pieceOffset && (other.flags & COMMAND_DEAD) === 0) {
      if (other.state !== COMMAND_KEPT && other.method === c.method) return true;
    }
  }
  return false;
}

function stopCutting(r: Request): void {
  if (r.state === REQUEST_QUEUED || r.state === REQUEST_LINED) requestUnqueue(r, REQUEST_FLIGHT);
  else if (r.state === REQUEST_HELD) {
    listRemove(changetype<usize>(r.unit) + HELD, changetype<usize>(r), LINK);
    r.state = REQUEST_FLIGHT;
  }
}

/** Answers with `error` now; what the host still has of it becomes ghosts. */
export function requestAbandon(r: Request, error: u32): void {
  stopRest(r, error);
  for (let at = r.commandFirst; at !== 0; at = listNext(at, SIBLING)) {
    const c = changetype<Command>(at);
    if (c.state === COMMAND_FLIGHT && (c.flags & COMMAND_DEAD) === 0) commandGivenUp(c);
  }
  r.pieces = 0;
  requestAnswer(r);
}

/** Nobody hears what is asked by `n`: nothing of it is begun any more, what the host has of it becomes ghosts. */
export function requestsGiveUp(n: Connection): void {
  const u = n.unit;
  for (let at = u.requestFirst; at !== 0;) {
    const r = changetype<Request>(at);
    at = r.unitNext;
    if (r.connection === n) requestAbandon(r, NBD_EIO);
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
  if (r.connection.state < CONNECTION_CLOSING) account(r);
  r.state = REQUEST_READY;
  replyReady(r);
}

/** An answer that its client gets goes into the unit's account. */
function account(r: Request): void {
  const u = r.unit;
  if (r.error === 0) u.answered++;
  else u.failed++;
  const latencyNs = now - r.acceptedNs;
  if (r.error !== 0) statisticsError(u.statistics);
  else if (r.kind <= 1) statisticsRecord(u.statistics, r.kind === 1, <u32>r.askedBytes, latencyNs);
  if (latencyNs > u.latencyNsMax) u.latencyNsMax = latencyNs;
}

/** Its reply has left, or nobody wants it. The caller has taken it out of its lists. */
export function requestOver(r: Request): void {
  const n = r.connection;
  r.state = REQUEST_OVER;
  n.requests--;
  n.bytesHeld -= r.bufferBytes;
  ownRoomFreed(n);
  for (let at = r.commandFirst; r.kept !== 0;) {
    const c = changetype<Command>(at);
    at = listNext(at, SIBLING);
    if (c.state !== COMMAND_KEPT) continue;
    r.kept--;
    commandDrop(c);
  }
  connectionGone(n);
  requestFreeIfOver(r);
}

/** Frees it when nothing refers to it any more. */
export function requestFreeIfOver(r: Request): void {
  if (r.state !== REQUEST_OVER || r.commandFirst !== 0) return;
  const u = r.unit;
  giveBlocks(r);
  u.slotsHeld--;
  u.bytesHeld -= r.bufferBytes;
  r.state = REQUEST_FREE;
  listPush(free, changetype<usize>(r), LINK);
  freeCount++;
  roomFreed(u);
}
