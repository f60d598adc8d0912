// Who may take a request slot and buffers, and who waits. Connections that find no room wait in one line, first come,
// first served; nothing is received from them meanwhile. The head of the line gets what it needs before anybody
// behind it, however small their wishes are, so nobody starves.
//
// One unit may not take everything: a unit that answers nothing would otherwise stop all others. It may hold up to
// twice what is then still free (and always one request), so however many units hang, some room is left for the rest.
// A connection that is over its unit's share waits in the unit's own line.
//
// Nor may one connection: a client that asks and does not read its answers holds what they lie in. It may hold as much as
// it leaves free, and waits by itself for one of its own answers to leave. A connection that holds nothing may take a
// quarter of what is free, whatever its unit holds. So however many clients do not read, those who do get on.

import { buffersFree } from "./buffers";
import { connectionDirty, connectionShut } from "./connection";
import { listPush, listRemove, listShift, listUnshift } from "./lists";
import { parseRequests } from "./nbd";
import { CONNECTION_DRAINING, CONNECTION_OPEN, Connection } from "./records";
import { now } from "./ring";
import { timerSooner } from "./timers";
import { connectionAt, connectionCount, coreTimer, poolBytes, requestCount } from "./memory";
import { poolBytesFor, requestsFree } from "./request";
import { Unit } from "./topology";
import { wordWanted } from "./word";
import { unitsStarve } from "./slots";

const LINK: usize = offsetof<Connection>("waitNext");
const SHARE: usize = offsetof<Unit>("shareFirst");

const WAITING_NOT: u8 = 0;
const WAITING_ROOM: u8 = 1;
const WAITING_SHARE: u8 = 2;
const WAITING_OWN: u8 = 3;

/** A payload that makes no progress, replies that are not taken, for so long are too long when others wait. */
const IDLE_PAYLOAD_NS: u64 = 10000000000;
const IDLE_SEND_NS: u64 = 60000000000;
const ETIMEDOUT: i32 = 110;

const line: usize = memory.data(8, 8);
let freed: bool = false;
/** Connections that wait. */
let waitingCount: u32 = 0;
/** The connection that is being served from the head of the line, and how many requests it has taken so far. */
let served: usize = 0;
let servedTaken: u32 = 0;

/** Whether the unit may take a request with `bytes` of data now, as far as its share goes. */
function withinShare(u: Unit, bytes: u32): bool {
  if (u.slotsHeld === 0) return true;
  if (u.slotsHeld > 2 * requestsFree()) return false;
  const wanted = poolBytesFor(bytes);
  const freeBytes = buffersFree();
  return wanted <= freeBytes && <u64>u.bytesHeld + <u64>wanted <= 2 * <u64>(freeBytes - wanted);
}

/** Whether the connection may take a request with `bytes` of data now, as far as what it holds itself goes. */
function withinOwnShare(n: Connection, bytes: u32): bool {
  if (n.requests === 0) return true;
  const wanted = poolBytesFor(bytes);
  const freeBytes = buffersFree();
  return (
    n.requests <= requestsFree() && wanted <= freeBytes && <u64>n.bytesHeld + <u64>wanted <= <u64>(freeBytes - wanted)
  );
}

/** Whether a connection that holds nothing may take a request past its unit's share. */
function mayPass(n: Connection, bytes: u32): bool {
  return n.requests === 0 && <u64>poolBytesFor(bytes) * 4 <= <u64>buffersFree() && requestsFree() !== 0;
}

/** Whether connection `n` may try to take a request with `bytes` of data now; if not it waits. */
export function mayTake(n: Connection, bytes: u32): bool {
  const u = n.unit;
  const first = served === changetype<usize>(n) && servedTaken === 0;
  // Whoever is served takes one request, then makes room for the next in line.
  if (!first && load<usize>(line) !== 0) {
    waitForRoom(n);
    return false;
  }
  if (!withinOwnShare(n, bytes)) {
    waits(n, WAITING_OWN);
    return false;
  }
  if (((!first && u.shareFirst !== 0) || !withinShare(u, bytes)) && !mayPass(n, bytes)) {
    waits(n, WAITING_SHARE);
    watch();
    if (first) listUnshift(changetype<usize>(u) + SHARE, changetype<usize>(n), LINK);
    else listPush(changetype<usize>(u) + SHARE, changetype<usize>(n), LINK);
    return false;
  }
  return true;
}

/** Below these parts of what there is, room counts as scarce. */
const SCARCE_SHIFT: u32 = 2;

/** Whether a connection or a unit waits for what others hold, or may soon have to. */
export function anybodyWaits(): bool {
  if (waitingCount !== 0 || unitsStarve()) return true;
  return requestsFree() <= requestCount >> SCARCE_SHIFT || buffersFree() <= poolBytes >> SCARCE_SHIFT;
}

/** Notes that `n` waits from now on; the caller puts it where it waits. */
function waits(n: Connection, what: u8): void {
  if (n.waiting === WAITING_NOT) waitingCount++;
  n.waiting = what;
  wordWanted();
}

/** Notes that `n` waits no longer. */
function waitsNot(n: Connection): void {
  if (n.waiting !== WAITING_NOT) waitingCount--;
  n.waiting = WAITING_NOT;
}

/** A request was taken. */
export function taken(): void {
  servedTaken++;
}

/** There was no room for it after all: it waits in the line. */
export function waitForRoom(n: Connection): void {
  watch();
  waits(n, WAITING_ROOM);
  if (served === changetype<usize>(n) && servedTaken === 0) listUnshift(line, changetype<usize>(n), LINK);
  else listPush(line, changetype<usize>(n), LINK);
}

/** It waits no longer (it is being closed). */
export function waitNoLonger(n: Connection): void {
  if (n.waiting === WAITING_ROOM) listRemove(line, changetype<usize>(n), LINK);
  else if (n.waiting === WAITING_SHARE) listRemove(changetype<usize>(n.unit) + SHARE, changetype<usize>(n), LINK);
  waitsNot(n);
}

/** An answer of `n` has left: if that is what it waited for, it queues up behind the others of its unit. */
export function ownRoomFreed(n: Connection): void {
  if (n.waiting !== WAITING_OWN) return;
  waits(n, WAITING_SHARE);
  listPush(changetype<usize>(n.unit) + SHARE, changetype<usize>(n), LINK);
  freed = true;
  nextOfShare(n.unit);
}

/** A request of `u` was freed: the first of those over its share joins the line, which is served at the end of the turn. */
export function roomFreed(u: Unit): void {
  freed = true;
  nextOfShare(u);
}

function nextOfShare(u: Unit): void {
  const at = listShift(changetype<usize>(u) + SHARE, LINK);
  if (at === 0) return;
  waits(changetype<Connection>(at), WAITING_ROOM);
  listPush(line, at, LINK);
}

/** Somebody waits: those who hold buffers and do nothing are looked for after a while. */
function watch(): void {
  timerSooner(coreTimer(), now + IDLE_PAYLOAD_NS);
}

/**
 * The core's timer has fired. While somebody waits for room, a client that has begun a payload and does not go on, or
 * does not take its replies, is closed: it would hold the others up for as long as it likes.
 */
export function watchTimer(): void {
  if (waitingCount === 0) return;
  for (let i: u32 = 0; i < connectionCount; i++) {
    const n = connectionAt(i);
    if (n.state !== CONNECTION_OPEN && n.state !== CONNECTION_DRAINING) continue;
    const idleNs = now - n.progressNs;
    const payload = changetype<usize>(n.payload) !== 0 && idleNs > IDLE_PAYLOAD_NS;
    if (payload || (n.sending !== 0 && idleNs > IDLE_SEND_NS)) connectionShut(n, -ETIMEDOUT);
  }
  watch();
}

/** Serves the line as far as there is room. */
export function serveLine(): void {
  if (!freed) return;
  freed = false;
  for (let at = listShift(line, LINK); at !== 0; at = listShift(line, LINK)) {
    const n = changetype<Connection>(at);
    waitsNot(n);
    served = at;
    servedTaken = 0;
    parseRequests(n);
    served = 0;
    connectionDirty(n);
    // Back at the head: there is no room for it yet, and so for nobody behind it.
    if (n.waiting === WAITING_ROOM && load<usize>(line) === at && servedTaken === 0) return;
    if (n.waiting !== WAITING_SHARE || n.unit.shareFirst !== at) nextOfShare(n.unit);
  }
}
