// The lines of connections that wait for room: their order, and who moves up when room is freed. admission.ts decides who has to
// wait.

import { listPush, listShift } from "../memory/lists";
import { Client } from "../memory/records";
import { Unit } from "../memory/topology";
import { lazySendWanted } from "../memory/lazy-send";

const SHARE: usize = offsetof<Unit>("shareFirst");

const LINK: usize = offsetof<Client>("waitNext");

const WAITING_NOT: u8 = 0;
export const WAITING_ROOM: u8 = 1;
export const WAITING_SHARE: u8 = 2;
export const WAITING_OWN: u8 = 3;

export const line: usize = memory.data(8, 8);
let freed: bool = false;
/** Connections that wait. */
export let waitingCount: u32 = 0;
/** The connection that is being served from the head of the line, and how many requests it has taken so far. */
export let served: usize = 0;
export let servedTaken: u32 = 0;

/** Notes that `n` waits from now on; the caller puts it where it waits. */
export function waits(n: Client, what: u8): void {
  if (n.waiting === WAITING_NOT) waitingCount++;
  n.waiting = what;
  lazySendWanted();
}

/** Notes that `n` waits no longer. */
export function waitsNot(n: Client): void {
  if (n.waiting !== WAITING_NOT) waitingCount--;
  n.waiting = WAITING_NOT;
}

/** A request was taken. */
export function taken(): void {
  servedTaken++;
}

/** An answer of `n` has left: if it waited for that, it queues up behind the others of its unit. */
export function ownRoomFreed(n: Client): void {
  if (n.waiting !== WAITING_OWN) return;
  waits(n, WAITING_SHARE);
  listPush(changetype<usize>(n.unit) + SHARE, changetype<usize>(n), LINK);
  freed = true;
  nextOfShare(n.unit);
}

/** A request of `u` was freed: the first connection over its share joins the line, which is served at the end of the turn. */
export function roomFreed(u: Unit): void {
  freed = true;
  nextOfShare(u);
}

function nextOfShare(u: Unit): void {
  const at = listShift(changetype<usize>(u) + SHARE, LINK);
  if (at === 0) return;
  waits(changetype<Client>(at), WAITING_ROOM);
  listPush(line, at, LINK);
}

/** Whether room was freed since the line was last served; asked once. */
export function lineDue(): bool {
  const due = freed;
  freed = false;
  return due;
}

/** The connection at the head of the line; it is served from now on, until `lineServed`. 0: nobody waits. */
export function lineNext(): usize {
  const at = listShift(line, LINK);
  if (at === 0) return 0;
  waitsNot(changetype<Client>(at));
  served = at;
  servedTaken = 0;
  return at;
}

/** It was served. False when it is back at the head: there is no room for it yet, and so none for anyone behind it. */
export function lineServed(n: Client): bool {
  const at = changetype<usize>(n);
  served = 0;
  if (n.waiting === WAITING_ROOM && load<usize>(line) === at && servedTaken === 0) return false;
  if (n.waiting !== WAITING_SHARE || n.unit.shareFirst !== at) nextOfShare(n.unit);
  return true;
}
