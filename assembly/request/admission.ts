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
import { poolBytes, requestCount } from "../memory/memory";
import { Client } from "../memory/records";
import { now } from "../memory/ring";
import { SECOND } from "../memory/time";
import { Unit } from "../memory/topology";
import { listsOf } from "../memory/unit-lists";
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

/** How long a payload may make no progress, or replies may stay unread, while others wait. */
const IDLE_PAYLOAD_NS: u64 = 10 * SECOND;

/** Whether the unit may take a request that takes `wanted` bytes of the pool now, given its share. */
function withinShare(unit: Unit, wanted: u32): bool {
  if (unit.slotsHeld === 0) return true;
  if (unit.slotsHeld > 2 * requestsFree()) return false;
  const freeBytes = buffersFree();
  return wanted <= freeBytes && <u64>unit.bytesHeld + <u64>wanted <= 2 * <u64>(freeBytes - wanted);
}

/** The same for the connection, given what it already holds. */
function withinOwnShare(client: Client, wanted: u32): bool {
  if (client.requests === 0) return true;
  const freeBytes = buffersFree();
  return (
    client.requests <= requestsFree() &&
    wanted <= freeBytes &&
    <u64>client.bytesHeld + <u64>wanted <= <u64>(freeBytes - wanted)
  );
}

/** Whether a connection that holds nothing may take a request past its unit's share. */
function mayPass(client: Client, wanted: u32): bool {
  return client.requests === 0 && <u64>wanted * 4 <= <u64>buffersFree() && requestsFree() !== 0;
}

/** Whether `client` may try to take a request with `bytes` of data now; if not it waits. */
export function mayTake(client: Client, bytes: u32): bool {
  const unit = client.unit;
  const first = served === client && servedTaken === 0;
  // Whoever is served takes one request, then makes way for the next in line.
  if (!first && !line.isEmpty) {
    waitForRoom(client);
    return false;
  }
  const wanted = poolBytesFor(bytes);
  if (!withinOwnShare(client, wanted)) {
    waits(client, WAITING_OWN);
    return false;
  }
  if (((!first && unit.shareFirst !== 0) || !withinShare(unit, wanted)) && !mayPass(client, wanted)) {
    waits(client, WAITING_SHARE);
    watch();
    if (first) listsOf(unit).share.unshift(client);
    else listsOf(unit).share.push(client);
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
export function waitForRoom(client: Client): void {
  watch();
  waits(client, WAITING_ROOM);
  if (served === client && servedTaken === 0) line.unshift(client);
  else line.push(client);
}

/** It stops waiting (it is being closed). Those behind it may want less than there is. */
export function waitNoLonger(client: Client): void {
  const kept = client.waiting === WAITING_ROOM || client.waiting === WAITING_SHARE;
  if (client.waiting === WAITING_ROOM) line.remove(client);
  else if (client.waiting === WAITING_SHARE) listsOf(client.unit).share.remove(client);
  waitsNot(client);
  if (kept) roomFreed(client.unit);
}

/** Someone waits: after a while, clients that hold buffers without using them are searched for. */
export function watch(): void {
  wakeCore(now + IDLE_PAYLOAD_NS);
}
