// The lines of connections that wait for room: their order, and who moves up when room is freed. admission.ts decides who has to
// wait.

import { Client } from "../memory/records";
import { Unit } from "../memory/topology";
import { lazySendWanted } from "../memory/lazy-send";
import { WaitingList } from "../memory/lists";
import { listsOf } from "../memory/unit-lists";

const WAITING_NOT: u8 = 0;
export const WAITING_ROOM: u8 = 1;
export const WAITING_SHARE: u8 = 2;
export const WAITING_OWN: u8 = 3;

export const line = changetype<WaitingList<Client>>(memory.data(8, 8));
let freed: bool = false;
/** Connections that wait. */
export let waitingCount: u32 = 0;
/** The connection that is being served from the head of the line, and how many requests it has taken so far. */
export let served = changetype<Client>(0);
export let servedTaken: u32 = 0;

/** Notes that `client` waits from now on; the caller puts it where it waits. */
export function waits(client: Client, what: u8): void {
  if (client.waiting === WAITING_NOT) waitingCount++;
  client.waiting = what;
  lazySendWanted();
}

/** Notes that `client` waits no longer. */
export function waitsNot(client: Client): void {
  if (client.waiting !== WAITING_NOT) waitingCount--;
  client.waiting = WAITING_NOT;
}

/** A request was taken. */
export function taken(): void {
  servedTaken++;
}

/** An answer of `client` has left: if it waited for that, it queues up behind the others of its unit. */
export function ownRoomFreed(client: Client): void {
  if (client.waiting !== WAITING_OWN) return;
  waits(client, WAITING_SHARE);
  listsOf(client.unit).share.push(client);
  freed = true;
  nextOfShare(client.unit);
}

/** A request of `unit` was freed: the first connection over its share joins the line, which is served at the end of the turn. */
export function roomFreed(unit: Unit): void {
  freed = true;
  nextOfShare(unit);
}

function nextOfShare(unit: Unit): void {
  const client = listsOf(unit).share.shift();
  if (changetype<usize>(client) === 0) return;
  waits(client, WAITING_ROOM);
  line.push(client);
}

/** Whether room was freed since the line was last served; asked once. */
export function lineDue(): bool {
  const due = freed;
  freed = false;
  return due;
}

/** The connection at the head of the line; it is served from now on, until `lineServed`. None (0): nobody waits. */
export function lineNext(): Client {
  const client = line.shift();
  if (changetype<usize>(client) === 0) return client;
  waitsNot(client);
  served = client;
  servedTaken = 0;
  return client;
}

/** It was served. False when it is back at the head: there is no room for it yet, and so none for anyone behind it. */
export function lineServed(client: Client): bool {
  served = changetype<Client>(0);
  if (client.waiting === WAITING_ROOM && line.first === client && servedTaken === 0) return false;
  if (client.waiting !== WAITING_SHARE || listsOf(client.unit).share.first !== client) nextOfShare(client.unit);
  return true;
}
