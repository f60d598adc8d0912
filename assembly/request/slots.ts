// Command slots: who has one, and which units wait for one.
//
// A command's life: free - (queued or delayed, any number of times) - in flight - free, or kept when its own buffer holds data of
// a reply. It takes its slot when its piece is cut and keeps it until the piece is settled; a failover moves the same slot to
// another path. So a piece that was begun never waits for a slot, and slots cannot cause a deadlock. Only a speculative retry
// takes a second slot, and does without when none is free.

import { bufferGive } from "../memory/buffers";
import { unitDirty } from "../memory/due";
import { listPush, listRemove, listShift } from "../memory/lists";
import { commandAt, commandCount, commands, listAll } from "../memory/memory";
import {
  COMMAND_DELAYED,
  COMMAND_FLIGHT,
  COMMAND_FREE,
  COMMAND_QUEUED,
  COMMAND_SLOT_BYTES,
  Command,
  Request,
} from "../memory/records";
import { Unit } from "../memory/topology";
import { lazySendWanted } from "../memory/lazy-send";
import { requestFreeIfOver } from "./pool";

const LINK: usize = offsetof<Command>("next");
const OF_REQUEST: usize = offsetof<Command>("nextOfRequest");
const REQUEST_COMMANDS: usize = offsetof<Request>("commandFirst");
const RETRY: usize = offsetof<Unit>("retryFirst");
const DELAYED: usize = offsetof<Unit>("delayedFirst");
const STARVED: usize = offsetof<Unit>("starvedNext");

const free: usize = memory.data(8, 8);
/** Units that found no command slot, in order. */
const starved: usize = memory.data(8, 8);
let freeCount: u32 = 0;

export function commandsInit(): void {
  for (let i: u32 = 0; i < commandCount; i++) commandAt(i).index = i;
  listAll(free, commands, commandCount, COMMAND_SLOT_BYTES, LINK);
  freeCount = commandCount;
}

/** Command slots nobody has. */
export function commandsFree(): u32 {
  return freeCount;
}

/** Takes a slot for a piece of `r`; the caller knows that one is free. */
export function commandTake(r: Request): Command {
  const c = changetype<Command>(listShift(free, LINK));
  freeCount--;
  c.request = r;
  c.unit = r.unit;
  c.tried = 0;
  c.refused = 0;
  c.pastEnd = 0;
  c.ownBuffer = 0;
  c.flags = 0;
  c.retries = 0;
  c.rounds = 0;
  c.attempt = 0;
  c.pace = 0;
  listPush(changetype<usize>(r) + REQUEST_COMMANDS, changetype<usize>(c), OF_REQUEST);
  return c;
}

/** Whether a unit waits for a command slot. */
export function unitsStarve(): bool {
  return load<usize>(starved) !== 0;
}

/** Frees a slot that the host does not have, taking it from the list it waits in. */
export function commandDrop(c: Command): void {
  const r = c.request;
  const u = c.unit;
  assert(c.state !== COMMAND_FLIGHT);
  if (c.state === COMMAND_QUEUED) {
    listRemove(changetype<usize>(u) + RETRY, changetype<usize>(c), LINK);
    u.retrying--;
  } else if (c.state === COMMAND_DELAYED) listRemove(changetype<usize>(u) + DELAYED, changetype<usize>(c), LINK);
  commandFree(c);
  requestFreeIfOver(r);
}

/** Frees a slot that is in no list of `next`. */
export function commandFree(c: Command): void {
  listRemove(changetype<usize>(c.request) + REQUEST_COMMANDS, changetype<usize>(c), OF_REQUEST);
  if (c.ownBuffer !== 0) bufferGive(c.ownBuffer);
  c.state = COMMAND_FREE;
  listPush(free, changetype<usize>(c), LINK);
  freeCount++;
  const first = load<usize>(starved);
  if (first !== 0) unitDirty(changetype<Unit>(first));
}

/**
 * Whether `u` may take a slot now: one is free, and no other unit has been waiting for it. If not, it waits behind those. A unit
 * that has waited takes one slot each time, so units take turns.
 */
export function slotFor(u: Unit): bool {
  const first = load<usize>(starved);
  if (freeCount === 0 || (first !== 0 && first !== changetype<usize>(u))) {
    if (u.starved === 0) listPush(starved, changetype<usize>(u), STARVED);
    u.starved = 1;
    lazySendWanted();
    return false;
  }
  notStarved(u);
  return true;
}

/** `u` has taken all it could use: free slots are for the units that wait, and `u` no longer does. */
export function slotsOffer(u: Unit): void {
  if (freeCount === 0 || load<usize>(starved) === 0) return;
  if (load<usize>(starved) === changetype<usize>(u)) notStarved(u);
  const first = load<usize>(starved);
  if (first !== 0) unitDirty(changetype<Unit>(first));
}

/** It waits for no slot (any more). */
export function notStarved(u: Unit): void {
  if (u.starved !== 0) listRemove(starved, changetype<usize>(u), STARVED);
  u.starved = 0;
}
