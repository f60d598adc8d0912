// From requests to SCSI commands on paths: pieces are cut, a path is chosen, the command is sent. slots.ts provides its slot,
// retry.ts keeps what cannot be sent now.

import {
  BUFFER_PAGE_BYTES,
  LARGE_BYTES,
  OPERATION_FLAG_FUA,
  OP_SCSI,
  PIECE_BYTES_MAX,
  POLICY_STATIC,
  UNIT_CAN_FUA,
} from "../abi";
import { bufferTake } from "../memory/buffers";
import { EIO } from "../memory/errno";
import { listNext, listPush } from "../memory/lists";
import { zeroes } from "../memory/memory";
import {
  COMMAND_FLIGHT,
  Command,
  METHOD_READ,
  METHOD_SAME,
  METHOD_SAME_UNMAP,
  METHOD_STATUS,
  METHOD_SYNC,
  METHOD_UNMAP,
  METHOD_WRITE,
  METHOD_ZERO_WRITE,
  REQUEST_FLIGHT,
  REQUEST_QUEUED,
  Request,
} from "../memory/records";
import { TAG_COMMAND, busyNs, makeTag, now, submit } from "../memory/ring";
import { MILLISECOND } from "../memory/time";
import { Path, Unit } from "../memory/topology";
import { unitPath } from "../path/facts";
import {
  FUA,
  LBA_STATUS_BYTES,
  SAME_UNMAP,
  UNMAP_LIST_BYTES,
  cdbGetLbaStatus,
  cdbRead,
  cdbSynchronizeCache,
  cdbUnmap,
  cdbWrite,
  cdbWriteSame,
} from "../scsi/cdb";
import { lossy, lossyNs } from "./orphan";
import { edgeAddress, readsEdge } from "./legs";
import { longBegins, longHostNs } from "./long";
import { paceBegin, zeroingPieceBytes } from "./pace";
import { changesMedium, isLong } from "./pieces";
import { requestBlock } from "./pool";
import { requestUnqueue } from "./queue";
import { requestFail } from "./request";
import { noPath } from "./retry";
import { commandTake, slotFor } from "./slots";
import { stallArm } from "./threshold";

const LINK: usize = offsetof<Command>("next");
const OF_REQUEST: usize = offsetof<Command>("nextOfRequest");
const FLIGHT: usize = offsetof<Unit>("flightFirst");

/** Makes and sends all pieces of `r`; false when it cannot go on now. */
export function dispatchRequest(u: Unit, r: Request): bool {
  while (r.state === REQUEST_QUEUED) if (dispatchPiece(u, r) === PIECE_BLOCKED) return false;
  return true;
}

/** A piece was made, perhaps the last one, that cannot be sent now. */
const PIECE_SENT: u8 = 0;
export const PIECE_BLOCKED: u8 = 1;

/** Makes the next piece of `r` and sends it. */
export function dispatchPiece(u: Unit, r: Request): u8 {
  const slot = chooseFor(u, u.eligible, pieceBytes(u, r), r.method !== METHOD_READ, r.client.index);
  if (slot < 0) {
    if (slot === NO_PATH) noPath(u);
    return PIECE_BLOCKED;
  }
  if (!slotFor(u)) return PIECE_BLOCKED;
  let list: usize = 0;
  if (r.method === METHOD_UNMAP && ownListTaken(r)) {
    list = bufferTake(BUFFER_PAGE_BYTES);
    if (list === 0) {
      waitForList(r);
      return PIECE_SENT;
    }
  }
  longBegins(r);
  const c = commandTake(r);
  c.ownBuffer = <u32>list;
  cut(u, r, c);
  issue(c, <u32>slot);
  if (r.cut === r.total) requestUnqueue(r, REQUEST_FLIGHT);
  return PIECE_SENT;
}

/** Bytes of the next piece of `r`. */
export function pieceBytes(u: Unit, r: Request): u32 {
  const rest = r.total - r.cut;
  const method = r.method;
  if (method === METHOD_SYNC || method === METHOD_STATUS) return rest;
  if (method === METHOD_UNMAP) return min(rest, min(u.unmapBytes, zeroingPieceBytes(u)));
  if (method === METHOD_SAME || method === METHOD_SAME_UNMAP) return min(rest, min(u.sameBytes, zeroingPieceBytes(u)));
  const whole = min(rest, u.transferBytes);
  return method === METHOD_ZERO_WRITE ? whole : min(whole, PIECE_BYTES_MAX - (r.cut & (PIECE_BYTES_MAX - 1)));
}

/** Cuts the next piece of `r` into `c`. */
function cut(u: Unit, r: Request, c: Command): void {
  const at = r.cut;
  const bytes = pieceBytes(u, r);
  c.pieceOffset = at;
  c.pieceBytes = bytes;
  c.lba = r.method === METHOD_SYNC ? 0 : (r.offset + <u64>at) >> u.blockShift;
  c.method = r.method;
  c.firstNs = now;
  r.cut += bytes;
  r.pieces++;
  build(u, r, c);
}

/** Whether an UNMAP in the host, perhaps an orphan, still uses the page for a parameter list that `r` has brought. */
function ownListTaken(r: Request): bool {
  for (let at = r.commandFirst; at !== 0; at = listNext(at, OF_REQUEST)) {
    if (changetype<Command>(at).ownBuffer === 0) return true;
  }
  return false;
}

/** There is no room for another parameter list: `r` continues when a piece is settled. If none will be, it fails. */
function waitForList(r: Request): void {
  if (r.pieces === 0) requestFail(r, EIO);
  else requestUnqueue(r, REQUEST_FLIGHT);
}

/**
 * Writes the CDB and the data buffer of a piece. The device's capabilities may have changed since its request was accepted, and
 * between its pieces; so this is where it is decided whether the command has FUA or SYNCHRONIZE CACHE has to follow.
 */
export function build(u: Unit, r: Request, c: Command): void {
  const blocks = c.pieceBytes >> u.blockShift;
  const method = c.method;
  const fua =
    ((<u32>r.flags) & OPERATION_FLAG_FUA) !== 0 && method <= METHOD_ZERO_WRITE && (u.capabilities & UNIT_CAN_FUA) !== 0;
  if (((<u32>r.flags) & OPERATION_FLAG_FUA) !== 0 && !fua && changesMedium(method)) {
    if (r.syncAfter === 0) r.powerLosses = u32.MAX_VALUE;
    r.syncAfter = 1;
  }
  c.bufferBytes = c.pieceBytes;
  if (method === METHOD_READ) {
    cdbRead(c, c.lba, blocks, u.shortIo !== 0);
    if (c.ownBuffer !== 0) c.buffer = c.ownBuffer;
    else c.buffer = readsEdge(r) ? edgeAddress(r, c.pieceOffset) : dataAddress(r, c.pieceOffset);
  } else if (method === METHOD_WRITE || method === METHOD_ZERO_WRITE) {
    cdbWrite(c, c.lba, blocks, fua ? FUA : 0, u.shortIo !== 0);
    c.buffer = method === METHOD_WRITE ? dataAddress(r, r.base + c.pieceOffset) : <u32>zeroes;
  } else if (method === METHOD_SYNC) {
    cdbSynchronizeCache(c, u.shortSync !== 0);
    c.buffer = 0;
    c.bufferBytes = 0;
  } else if (method === METHOD_UNMAP) {
    c.buffer = c.ownBuffer !== 0 ? c.ownBuffer : <u32>requestBlock(r, 0);
    c.bufferBytes = UNMAP_LIST_BYTES;
    cdbUnmap(c, c.lba, blocks, c.buffer);
  } else if (method === METHOD_STATUS) {
    c.buffer = c.ownBuffer !== 0 ? c.ownBuffer : <u32>requestBlock(r, 0);
    c.bufferBytes = LBA_STATUS_BYTES;
    cdbGetLbaStatus(c, c.lba, LBA_STATUS_BYTES);
  } else {
    cdbWriteSame(c, c.lba, blocks, method === METHOD_SAME_UNMAP ? SAME_UNMAP : 0);
    c.buffer = <u32>zeroes;
    c.bufferBytes = u.blockBytes;
  }
}

function dataAddress(r: Request, at: u32): u32 {
  return <u32>requestBlock(r, at / PIECE_BYTES_MAX) + (at & (PIECE_BYTES_MAX - 1));
}

/** No path of the unit may get I/O. */
export const NO_PATH: i32 = -1;
/** Those that may have no room now. */
export const NO_ROOM: i32 = -2;
/** The command has failed on all that may. */
const ALL_TRIED: i32 = -3;
/** It has failed on all that may, except some that do not answer at present. */
export const ONLY_STALLED: i32 = -4;

export function choose(u: Unit, c: Command): i32 {
  const allowed = u.eligible & ~c.tried;
  if (allowed === 0) return u.eligible === 0 ? NO_PATH : ALL_TRIED;
  if ((allowed & ~u.stalled) === 0 && (u.eligible & ~u.stalled) !== 0) return ONLY_STALLED;
  return chooseFor(u, allowed, c.pieceBytes, c.method !== METHOD_READ, c.request.client.index);
}

/** Chooses a slot among `allowed` (all eligible): the policy within the best tier, priority in lower ones. */
function chooseFor(u: Unit, allowed: u32, bytes: u32, write: bool, affinity: u32): i32 {
  if (allowed === 0) return NO_PATH;
  let among = allowed & u.usable;
  if (among !== 0) {
    if (u.policy !== POLICY_STATIC) {
      among &= ~u.full;
      if (among === 0) return NO_ROOM;
    }
    const slot = u.selection.pick(among, bytes, write, affinity, now);
    return ((u.full >> slot) & 1) !== 0 ? NO_ROOM : <i32>slot;
  }
  among = allowed & u.tier2;
  if (among === 0) among = allowed & u.tier3;
  if (among === 0) among = allowed & u.tier4;
  if (among === 0) among = allowed & u.tier5;
  return highest(u, among & ~u.full);
}

/** Chooses a slot for a piece that is already on `taken`: one that is not stalled, or none (negative). */
export function chooseOther(u: Unit, taken: u32, bytes: u32, write: bool, affinity: u32): i32 {
  const allowed = u.eligible & ~u.stalled & ~taken;
  return allowed === 0 ? NO_PATH : chooseFor(u, allowed, bytes, write, affinity);
}

/** The slot with the highest priority, NO_ROOM when there is none. */
function highest(u: Unit, among: u32): i32 {
  let best: i32 = NO_ROOM;
  let bestPriority: u32 = 0;
  for (let rest = among; rest !== 0; rest &= rest - 1) {
    const slot = ctz(rest);
    const priority = <u32>unitPath(u, slot).priority;
    if (priority > bestPriority) {
      bestPriority = priority;
      best = <i32>slot;
    }
  }
  return best;
}

/** Time after which the host ends a command itself. */
function hostNs(u: Unit, p: Path, c: Command): u64 {
  const r = c.request;
  const leftNs = r.deadlineNs > now ? r.deadlineNs - now : 0;
  if (c.method <= METHOD_ZERO_WRITE) {
    const ns = min(leftNs, u.commandTimeoutNs);
    return p.lost !== 0 && lossy(p) ? min(ns, lossyNs(u)) : ns;
  }
  if (!isLong(c.method)) return leftNs;
  // The time of a request of many begins anew with each that is done before this one.
  const many = r.total !== c.pieceBytes && r.method !== METHOD_SYNC;
  return longHostNs(u, c, many ? leftNs + u.ioTimeoutNs : leftNs);
}

/** Sends a command on the path in `slot`. */
export function issue(c: Command, slot: u32): void {
  const u = c.unit;
  const p = unitPath(u, slot);
  if (isLong(c.method)) u.longs++;
  c.timeoutMs = <u32>(hostNs(u, p, c) / MILLISECOND) + 1;
  c.timeNs = now;
  c.powerLosses = u.powerLosses;
  c.busyNs = busyNs;
  c.path = p;
  c.state = COMMAND_FLIGHT;
  c.generation++;
  listPush(changetype<usize>(u) + FLIGHT, changetype<usize>(c), LINK);
  p.inFlight++;
  if (c.pieceBytes >= LARGE_BYTES && c.method <= METHOD_UNMAP) paceBegin(u, c);
  stallArm(u, c);
  if (p.inFlight >= p.depth) u.full |= (<u32>1) << slot;
  c.note = u.selection.started(slot, c.bufferBytes, c.method !== METHOD_READ, now);
  const tag = makeTag(TAG_COMMAND, c.generation, c.index);
  submit(p.arrayPort !== 0, OP_SCSI, 0, tag, p.port, changetype<usize>(c), 0);
}
