// Sends a piece again in parallel to a command that does not answer. The first good answer wins; orphan.ts ensures that this does
// no harm to other data.
//
// Candidates, in this order:
// - a path that has not had it yet and is not stalled; the policy chooses;
// - a path that has had it, and has lost it (it has answered what was sent later, so it is no black hole) or refused it;
// - if there are only stalled paths: the one that answered last. That also finds out whether they are back.
//
// In cluster mode nothing that changes the medium is sent again while the first command may still be carried out: once another
// path has done it, it is acknowledged, other hosts may write there, and the first one, landing late, would undo that. The rule
// that makes later I/O of this host wait for an orphan (orphan.ts) cannot make theirs wait.
//
// All of it is bounded. A piece has at most ATTEMPTS_MAX commands at once (a large one LARGE_ATTEMPTS_MAX: each attempt of a read
// needs a buffer); each attempt waits for its own threshold (stall.ts). A stalled path gets such pieces at a rate that halves
// each time, down to one per PROBE_NS_MAX, and never while half of its depth is unanswered.

import { BUFFER_PAGE_BYTES } from "../abi";
import { bufferTake } from "../memory/buffers";
import {
  COMMAND_DEAD,
  COMMAND_FLIGHT,
  COMMAND_HARMLESS,
  COMMAND_WANTED,
  Command,
  METHOD_READ,
  METHOD_STATUS,
  METHOD_UNMAP,
  Request,
} from "../memory/records";
import { now } from "../memory/ring";
import { SECOND } from "../memory/time";
import { Unit } from "../memory/topology";
import { listsOf } from "../memory/unit-lists";
import { ALL_SLOTS, unitPath } from "../path/facts";
import { clusterMode } from "../path/mode";
import { build, chooseOther, issue } from "../request/dispatch";
import { becomeOrphan, commandOverlapsOrphan } from "../request/orphan";
import { changesMedium } from "../request/pieces";
import { commandTake, commandsFree } from "../request/slots";

/** Commands at once for one piece, and for one of more than SMALL_BYTES. */
const ATTEMPTS_MAX: u32 = 8;
const LARGE_ATTEMPTS_MAX: u32 = 4;
const SMALL_BYTES: u32 = 65536;
/** Retried reads of one request whose data is in buffers of their own. */
export const OWN_BUFFERS_MAX: u32 = 40;
/** Longest pause between two pieces that a stalled path gets again. */
const PROBE_NS_MAX: u64 = SECOND;
const NONE: i32 = -1;

/** Sends the piece of `command` again in parallel; false when that is not possible now. */
export function retrySpeculatively(unit: Unit, command: Command): bool {
  const request = command.request;
  if ((command.flags & COMMAND_DEAD) !== 0 || request.error !== 0 || commandsFree() === 0) return false;
  if (clusterMode && changesMedium(command.method) && (command.flags & COMMAND_HARMLESS) === 0) return false;
  if (commandOverlapsOrphan(unit, command)) return false;
  const slot = chooseAgain(unit, command);
  if (slot < 0) return false;
  if (changesMedium(command.method) && (command.flags & COMMAND_HARMLESS) === 0 && overlapsOther(unit, command)) {
    // Two of them may block each other: then only a reset helps, as for an orphan that others wait for.
    command.flags |= COMMAND_WANTED;
    return false;
  }
  let own: usize = 0;
  if (command.method === METHOD_READ || command.method === METHOD_STATUS) {
    if (ownBuffers(request) >= OWN_BUFFERS_MAX) return false;
    own = bufferTake(command.pieceBytes);
    if (own === 0) return false;
  } else if (command.method === METHOD_UNMAP) {
    own = bufferTake(BUFFER_PAGE_BYTES);
    if (own === 0) return false;
  }
  becomeOrphan(command);
  if (((unit.stalled >> (<u32>slot)) & 1) !== 0) probed(unit, <u32>slot);
  issueDuplicate(command, own, <u32>slot).attempt = command.attempt + 1;
  return true;
}

/** Chooses the slot in which the piece of `command` is sent again; negative when there is none now. */
function chooseAgain(unit: Unit, command: Command): i32 {
  const taken = attempted(command);
  if (taken === ALL_SLOTS) return NONE;
  const other = chooseOther(
    unit,
    taken,
    command.pieceBytes,
    command.method !== METHOD_READ,
    command.request.client.index,
  );
  if (other >= 0) return other;
  const open = unit.eligible & ~unit.full;
  const lost = newest(unit, open & taken & ~unit.stalled & ~unanswered(command));
  if (lost >= 0 || (unit.eligible & ~unit.stalled) !== 0) return lost;
  const due = probesDue(unit, open);
  return (due & ~taken) !== 0 ? newest(unit, due & ~taken) : newest(unit, due);
}

/** Slots that have answered nothing that was sent to them after the piece of `command`. */
function unanswered(command: Command): u32 {
  let slots: u32 = 0;
  for (let other = command.request.commands.first; changetype<usize>(other) !== 0; other = other.nextOfRequest) {
    if (other.state !== COMMAND_FLIGHT || other.pieceOffset !== command.pieceOffset || other.method !== command.method)
      continue;
    if (other.path.answeredNs <= other.timeNs) slots |= (<u32>1) << (<u32>other.path.slot);
  }
  return slots;
}

/** The slot among `slots` whose path answered most recently; negative when there is none. */
function newest(unit: Unit, slots: u32): i32 {
  let best: i32 = NONE;
  let bestNs: u64 = 0;
  for (let rest = slots; rest !== 0; rest &= rest - 1) {
    const lastNs = unitPath(unit, ctz(rest)).lastIoNs;
    if (best >= 0 && lastNs <= bestNs) continue;
    best = <i32>ctz(rest);
    bestNs = lastNs;
  }
  return best;
}

/** The slots of stalled paths among `slots` that may get a piece again now. */
function probesDue(unit: Unit, slots: u32): u32 {
  let due: u32 = 0;
  for (let rest = slots & unit.stalled; rest !== 0; rest &= rest - 1) {
    const path = unitPath(unit, ctz(rest));
    if (path.probeNotBeforeNs <= now && path.orphans * 2 <= path.depth) due |= rest & -rest;
  }
  return due;
}

/** A stalled path gets a piece again: the next one only after a longer pause. */
function probed(unit: Unit, slot: u32): void {
  const path = unitPath(unit, slot);
  path.probePauseNs = min(max(path.probePauseNs * 2, unit.stallMinNs), PROBE_NS_MAX);
  path.probeNotBeforeNs = now + path.probePauseNs;
}

/** Sends the piece of `command` by another command, in `slot`; a read or an UNMAP brings a buffer of its own. */
export function issueDuplicate(command: Command, own: usize, slot: u32): Command {
  const duplicate = commandTake(command.request);
  duplicate.ownBuffer = <u32>own;
  duplicate.pieceOffset = command.pieceOffset;
  duplicate.pieceBytes = command.pieceBytes;
  duplicate.lba = command.lba;
  duplicate.method = command.method;
  duplicate.firstNs = command.firstNs;
  build(command.unit, command.request, duplicate);
  issue(duplicate, slot);
  return duplicate;
}

/** Slots that the piece of `command` is, or was, on; all of them when it is under way often enough. */
export function attempted(command: Command): u32 {
  let slots = command.tried;
  let count: u32 = 0;
  for (let other = command.request.commands.first; changetype<usize>(other) !== 0; other = other.nextOfRequest) {
    if (other.pieceOffset !== command.pieceOffset || other.method !== command.method) continue;
    // A duplicate that waits for a path counts as an attempt already.
    if (other.state !== COMMAND_FLIGHT) return ALL_SLOTS;
    slots |= (<u32>1) << (<u32>other.path.slot);
    count++;
  }
  return count >= (command.pieceBytes > SMALL_BYTES ? LARGE_ATTEMPTS_MAX : ATTEMPTS_MAX) ? ALL_SLOTS : slots;
}

export function ownBuffers(request: Request): u32 {
  let count: u32 = 0;
  for (let command = request.commands.first; changetype<usize>(command) !== 0; command = command.nextOfRequest) {
    if (command.ownBuffer !== 0) count++;
  }
  return count;
}

/** Whether another request has begun to change what `command` changes. */
function overlapsOther(unit: Unit, command: Command): bool {
  const first = command.lba << unit.blockShift;
  const end = first + <u64>command.pieceBytes;
  for (let request = listsOf(unit).requests.first; changetype<usize>(request) !== 0; request = request.unitNext) {
    if (
      request === command.request ||
      (request.commandFirst === 0 && request.cut === 0) ||
      !changesMedium(request.method)
    )
      continue;
    if (first < request.offset + <u64>request.bytes && request.offset < end) return true;
  }
  return false;
}
