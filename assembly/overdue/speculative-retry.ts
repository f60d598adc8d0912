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
import { listNext } from "../memory/lists";
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
import { ALL_SLOTS, unitPath } from "../path/facts";
import { clusterMode } from "../path/mode";
import { build, chooseOther, issue } from "../request/dispatch";
import { becomeOrphan, commandOverlapsOrphan } from "../request/orphan";
import { changesMedium } from "../request/pieces";
import { commandTake, commandsFree } from "../request/slots";

const OF_REQUEST: usize = offsetof<Command>("nextOfRequest");
/** Commands at once for one piece, and for one of more than SMALL_BYTES. */
const ATTEMPTS_MAX: u32 = 8;
const LARGE_ATTEMPTS_MAX: u32 = 4;
const SMALL_BYTES: u32 = 65536;
/** Retried reads of one request whose data is in buffers of their own. */
export const OWN_BUFFERS_MAX: u32 = 40;
/** Longest pause between two pieces that a stalled path gets again. */
const PROBE_NS_MAX: u64 = SECOND;
const NONE: i32 = -1;

/** Sends the piece of `c` again in parallel; false when that is not possible now. */
export function retrySpeculatively(u: Unit, c: Command): bool {
  const r = c.request;
  if ((c.flags & COMMAND_DEAD) !== 0 || r.error !== 0 || commandsFree() === 0) return false;
  if (clusterMode && changesMedium(c.method) && (c.flags & COMMAND_HARMLESS) === 0) return false;
  if (commandOverlapsOrphan(u, c)) return false;
  const slot = chooseAgain(u, c);
  if (slot < 0) return false;
  if (changesMedium(c.method) && (c.flags & COMMAND_HARMLESS) === 0 && overlapsOther(u, c)) {
    // Two of them may block each other: then only a reset helps, as for an orphan that others wait for.
    c.flags |= COMMAND_WANTED;
    return false;
  }
  let own: usize = 0;
  if (c.method === METHOD_READ || c.method === METHOD_STATUS) {
    if (ownBuffers(r) >= OWN_BUFFERS_MAX) return false;
    own = bufferTake(c.pieceBytes);
    if (own === 0) return false;
  } else if (c.method === METHOD_UNMAP) {
    own = bufferTake(BUFFER_PAGE_BYTES);
    if (own === 0) return false;
  }
  becomeOrphan(c);
  if (((u.stalled >> (<u32>slot)) & 1) !== 0) probed(u, <u32>slot);
  issueDuplicate(c, own, <u32>slot).attempt = c.attempt + 1;
  return true;
}

/** Chooses the slot in which the piece of `c` is sent again; negative when there is none now. */
function chooseAgain(u: Unit, c: Command): i32 {
  const taken = attempted(c);
  if (taken === ALL_SLOTS) return NONE;
  const other = chooseOther(u, taken, c.pieceBytes, c.method !== METHOD_READ, c.request.client.index);
  if (other >= 0) return other;
  const open = u.eligible & ~u.full;
  const lost = newest(u, open & taken & ~u.stalled & ~unanswered(c));
  if (lost >= 0 || (u.eligible & ~u.stalled) !== 0) return lost;
  const due = probesDue(u, open);
  return (due & ~taken) !== 0 ? newest(u, due & ~taken) : newest(u, due);
}

/** Slots that have answered nothing that was sent to them after the piece of `c`. */
function unanswered(c: Command): u32 {
  let slots: u32 = 0;
  for (let at = c.request.commandFirst; at !== 0; at = listNext(at, OF_REQUEST)) {
    const other = changetype<Command>(at);
    if (other.state !== COMMAND_FLIGHT || other.pieceOffset !== c.pieceOffset || other.method !== c.method) continue;
    if (other.path.answeredNs <= other.timeNs) slots |= (<u32>1) << (<u32>other.path.slot);
  }
  return slots;
}

/** The slot among `slots` whose path answered most recently; negative when there is none. */
function newest(u: Unit, slots: u32): i32 {
  let best: i32 = NONE;
  let bestNs: u64 = 0;
  for (let rest = slots; rest !== 0; rest &= rest - 1) {
    const lastNs = unitPath(u, ctz(rest)).lastIoNs;
    if (best >= 0 && lastNs <= bestNs) continue;
    best = <i32>ctz(rest);
    bestNs = lastNs;
  }
  return best;
}

/** The slots of stalled paths among `slots` that may get a piece again now. */
function probesDue(u: Unit, slots: u32): u32 {
  let due: u32 = 0;
  for (let rest = slots & u.stalled; rest !== 0; rest &= rest - 1) {
    const p = unitPath(u, ctz(rest));
    if (p.probeNotBeforeNs <= now && p.orphans * 2 <= p.depth) due |= rest & -rest;
  }
  return due;
}

/** A stalled path gets a piece again: the next one only after a longer pause. */
function probed(u: Unit, slot: u32): void {
  const p = unitPath(u, slot);
  p.probePauseNs = min(max(p.probePauseNs * 2, u.stallMinNs), PROBE_NS_MAX);
  p.probeNotBeforeNs = now + p.probePauseNs;
}

/** Sends the piece of `c` by another command, in `slot`; a read or an UNMAP brings a buffer of its own. */
export function issueDuplicate(c: Command, own: usize, slot: u32): Command {
  const duplicate = commandTake(c.request);
  duplicate.ownBuffer = <u32>own;
  duplicate.pieceOffset = c.pieceOffset;
  duplicate.pieceBytes = c.pieceBytes;
  duplicate.lba = c.lba;
  duplicate.method = c.method;
  duplicate.firstNs = c.firstNs;
  build(c.unit, c.request, duplicate);
  issue(duplicate, slot);
  return duplicate;
}

/** Slots that the piece of `c` is, or was, on; all of them when it is under way often enough. */
export function attempted(c: Command): u32 {
  let slots = c.tried;
  let count: u32 = 0;
  for (let at = c.request.commandFirst; at !== 0; at = listNext(at, OF_REQUEST)) {
    const other = changetype<Command>(at);
    if (other.pieceOffset !== c.pieceOffset || other.method !== c.method) continue;
    // A duplicate that waits for a path counts as an attempt already.
    if (other.state !== COMMAND_FLIGHT) return ALL_SLOTS;
    slots |= (<u32>1) << (<u32>other.path.slot);
    count++;
  }
  return count >= (c.pieceBytes > SMALL_BYTES ? LARGE_ATTEMPTS_MAX : ATTEMPTS_MAX) ? ALL_SLOTS : slots;
}

export function ownBuffers(r: Request): u32 {
  let count: u32 = 0;
  for (let at = r.commandFirst; at !== 0; at = listNext(at, OF_REQUEST)) {
    if (changetype<Command>(at).ownBuffer !== 0) count++;
  }
  return count;
}

/** Whether another request has begun to change what `c` changes. */
function overlapsOther(u: Unit, c: Command): bool {
  const first = c.lba << u.blockShift;
  const end = first + <u64>c.pieceBytes;
  for (let at = u.requestFirst; at !== 0; at = changetype<Request>(at).unitNext) {
    const r = changetype<Request>(at);
    if (r === c.request || (r.commandFirst === 0 && r.cut === 0) || !changesMedium(r.method)) continue;
    if (first < r.offset + <u64>r.bytes && r.offset < end) return true;
  }
  return false;
}
