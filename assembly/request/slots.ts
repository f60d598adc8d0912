// Command slots: who has one, and which units wait for one.
//
// A command's life: free - (queued or delayed, any number of times) - in flight - free, or kept when its own buffer holds data of
// a reply. It takes its slot when its piece is cut and keeps it until the piece is settled; a failover moves the same slot to
// another path. So a piece that was begun never waits for a slot, and slots cannot cause a deadlock. Only a speculative retry
// takes a second slot, and does without when none is free.

import { bufferGive } from "../memory/buffers";
import { unitDirty } from "../memory/due";
import { List, listPush, listRemove } from "../memory/lists";
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
import { listsOf } from "../memory/unit-lists";
import { requestFreeIfOver } from "./pool";

const LINK: usize = offsetof<Command>("next");

/** Units, linked by their `starvedNext`. */
@unmanaged
class StarvedList {
  first: Unit;
  last: Unit;

  @inline
  get isEmpty(): bool {
    return changetype<usize>(this.first) === 0;
  }

  @inline
  push(item: Unit): void {
    listPush(changetype<usize>(this), changetype<usize>(item), offsetof<Unit>("starvedNext"));
  }

  @inline
  remove(item: Unit): void {
    listRemove(changetype<usize>(this), changetype<usize>(item), offsetof<Unit>("starvedNext"));
  }
}

const free = changetype<List<Command>>(memory.data(8, 8));
/** Units that found no command slot, in order. */
const starved = changetype<StarvedList>(memory.data(8, 8));
let freeCount: u32 = 0;

export function commandsInit(): void {
  for (let i: u32 = 0; i < commandCount; i++) commandAt(i).index = i;
  listAll(changetype<usize>(free), commands, commandCount, COMMAND_SLOT_BYTES, LINK);
  freeCount = commandCount;
}

/** Command slots nobody has. */
export function commandsFree(): u32 {
  return freeCount;
}

/** Takes a slot for a piece of `request`; the caller knows that one is free. */
export function commandTake(request: Request): Command {
  const command = free.shift();
  freeCount--;
  command.request = request;
  command.unit = request.unit;
  command.tried = 0;
  command.refused = 0;
  command.pastEnd = 0;
  command.ownBuffer = 0;
  command.flags = 0;
  command.retries = 0;
  command.rounds = 0;
  command.attempt = 0;
  command.pace = 0;
  request.commands.push(command);
  return command;
}

/** Whether a unit waits for a command slot. */
export function unitsStarve(): bool {
  return !starved.isEmpty;
}

/** Frees a slot that the host does not have, taking it from the list it waits in. */
export function commandDrop(command: Command): void {
  const request = command.request;
  const unit = command.unit;
  assert(command.state !== COMMAND_FLIGHT);
  if (command.state === COMMAND_QUEUED) {
    listsOf(unit).retry.remove(command);
    unit.retrying--;
  } else if (command.state === COMMAND_DELAYED) listsOf(unit).delayed.remove(command);
  commandFree(command);
  requestFreeIfOver(request);
}

/** Frees a slot that is in no list of `next`. */
export function commandFree(command: Command): void {
  command.request.commands.remove(command);
  if (command.ownBuffer !== 0) bufferGive(command.ownBuffer);
  command.state = COMMAND_FREE;
  free.push(command);
  freeCount++;
  const first = starved.first;
  if (changetype<usize>(first) !== 0) unitDirty(first);
}

/**
 * Whether `unit` may take a slot now: one is free, and no other unit has been waiting for it. If not, it waits behind those. A unit
 * that has waited takes one slot each time, so units take turns.
 */
export function slotFor(unit: Unit): bool {
  const first = starved.first;
  if (freeCount === 0 || (changetype<usize>(first) !== 0 && first !== unit)) {
    if (unit.starved === 0) starved.push(unit);
    unit.starved = 1;
    lazySendWanted();
    return false;
  }
  notStarved(unit);
  return true;
}

/** `unit` has taken all it could use: free slots are for the units that wait, and `unit` no longer does. */
export function slotsOffer(unit: Unit): void {
  if (freeCount === 0 || starved.isEmpty) return;
  if (starved.first === unit) notStarved(unit);
  const first = starved.first;
  if (changetype<usize>(first) !== 0) unitDirty(first);
}

/** It waits for no slot (any more). */
export function notStarved(unit: Unit): void {
  if (unit.starved !== 0) starved.remove(unit);
  unit.starved = 0;
}
