// Who may take a request slot and buffers, and who waits. Connections that find no room wait in one line, first come, first
// served; nothing is received from them meanwhile. The head of the line gets what it needs before anyone behind it, however
// little those want, so nobody starves.
//
// One unit may not take everything: a unit that answers nothing would otherwise stop all others. It may hold up to twice what is
// then still free (and always one request), so however many units hang, some room is left for the rest. A connection over its
// unit's share waits in the unit's own line.
//
// Nor may one connection: a client that sends requests and does not read its answers holds their buffers. It may hold as much as
// it leaves free, and otherwise waits for one of its own answers to leave. A connection that holds nothing may take a quarter of
// what is free, whatever its unit holds. So however many clients do not read, those that do make progress.

import { buffersFree } from "../memory/buffers";
import { listPush, listRemove, listUnshift } from "../memory/lists";
import { poolBytes, requestCount } from "../memory/memory";
import { Client } from "../memory/records";
import { now } from "../memory/ring";
import { SECOND } from "../memory/time";
import { Unit } from "../memory/topology";
import { wakeCore } from "../memory/wake";
import { poolBytesFor, requestsFree } from "./pool";
import {
  WAITING_OWN,
  WAITING_ROOM,
  WAITING_SHARE,
  line,
  roomFreed,
  served,
  servedTaken,
  waitingCount,
  waits,
  waitsNot,
} from "./room";
import { unitsStarve } from "./slots";

const LINK: usize = offsetof<Client>("waitNext");
const SHARE: usize = offsetof<Unit>("shareFirst");

/** How long a payload may make no progress, or replies may stay unread, while others wait. */
const IDLE_PAYLOAD_NS: u64 = 10 * SECOND;

/** Whether the unit may take a request with `bytes` of data now, as far as its share goes. */
function withinShare(u: Unit, bytes: u32): bool {
  if (u.slotsHeld === 0) return true;
  if (u.slotsHeld > 2 * requestsFree()) return false;
  const wanted = poolBytesFor(bytes);
  const freeBytes = buffersFree();
  return wanted <= freeBytes && <u64>u.bytesHeld + <u64>wanted <= 2 * <u64>(freeBytes - wanted);
}

/** Whether the connection may take a request with `bytes` of data now, as far as what it holds itself goes. */
function withinOwnShare(n: Client, bytes: u32): bool {
  if (n.requests === 0) return true;
  const wanted = poolBytesFor(bytes);
  const freeBytes = buffersFree();
  return (
    n.requests <= requestsFree() && wanted <= freeBytes && <u64>n.bytesHeld + <u64>wanted <= <u64>(freeBytes - wanted)
  );
}

/** Whether a connection that holds nothing may take a request past its unit's share. */
function mayPass(n: Client, bytes: u32): bool {
  return n.requests === 0 && <u64>poolBytesFor(bytes) * 4 <= <u64>buffersFree() && requestsFree() !== 0;
}

/** Whether connection `n` may try to take a request with `bytes` of data now; if not it waits. */
export function mayTake(n: Client, bytes: u32): bool {
  const u = n.unit;
  const first = served === changetype<usize>(n) && servedTaken === 0;
  // Whoever is served takes one request, then makes way for the next in line.
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

/** Room is scarce when less than these fractions of it is free. */
const SCARCE_SHIFT: u32 = 2;

/** Whether a connection or a unit waits for what others hold, or may soon have to. */
export function anybodyWaits(): bool {
  if (waitingCount !== 0 || unitsStarve()) return true;
  return requestsFree() <= requestCount >> SCARCE_SHIFT || buffersFree() <= poolBytes >> SCARCE_SHIFT;
}

/** There was no room for it after all: it waits in the line. */
export function waitForRoom(n: Client): void {
  watch();
  waits(n, WAITING_ROOM);
  if (served === changetype<usize>(n) && servedTaken === 0) listUnshift(line, changetype<usize>(n), LINK);
  else listPush(line, changetype<usize>(n), LINK);
}

/** It stops waiting (it is being closed). Those behind it may want less than there is. */
export function waitNoLonger(n: Client): void {
  const kept = n.waiting === WAITING_ROOM || n.waiting === WAITING_SHARE;
  if (n.waiting === WAITING_ROOM) listRemove(line, changetype<usize>(n), LINK);
  else if (n.waiting === WAITING_SHARE) listRemove(changetype<usize>(n.unit) + SHARE, changetype<usize>(n), LINK);
  waitsNot(n);
  if (kept) roomFreed(n.unit);
}

/** Someone waits: after a while, clients that hold buffers without using them are searched for. */
export function watch(): void {
  wakeCore(now + IDLE_PAYLOAD_NS);
}
