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
import { listsOf } from "../memory/unit-lists";
import { unitPath } from "../path/facts";
import { registrationUnheard } from "../path/registration";
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

/** Makes and sends all pieces of `request`; false when it cannot go on now. */
export function dispatchRequest(unit: Unit, request: Request): bool {
  while (request.state === REQUEST_QUEUED) if (dispatchPiece(unit, request) === PIECE_BLOCKED) return false;
  return true;
}

/** A piece was made, perhaps the last one, that cannot be sent now. */
const PIECE_SENT: u8 = 0;
export const PIECE_BLOCKED: u8 = 1;

/** Makes the next piece of `request` and sends it. */
export function dispatchPiece(unit: Unit, request: Request): u8 {
  const bytes = pieceBytes(unit, request);
  const slot = chooseFor(unit, unit.eligible, bytes, request.method !== METHOD_READ, request.client.index);
  if (slot < 0) {
    if (slot === NO_PATH) noPath(unit);
    return PIECE_BLOCKED;
  }
  if (!slotFor(unit)) return PIECE_BLOCKED;
  let list: usize = 0;
  if (request.method === METHOD_UNMAP && ownListTaken(request)) {
    list = bufferTake(BUFFER_PAGE_BYTES);
    if (list === 0) {
      waitForList(request);
      return PIECE_SENT;
    }
  }
  longBegins(request);
  const command = commandTake(request);
  command.ownBuffer = <u32>list;
  cut(unit, request, command, bytes);
  issue(command, <u32>slot);
  if (request.cut === request.total) requestUnqueue(request, REQUEST_FLIGHT);
  return PIECE_SENT;
}

/** Bytes of the next piece of `request`. */
export function pieceBytes(unit: Unit, request: Request): u32 {
  const rest = request.total - request.cut;
  const method = request.method;
  if (method === METHOD_SYNC || method === METHOD_STATUS) return rest;
  if (method === METHOD_UNMAP) return min(rest, min(unit.unmapBytes, zeroingPieceBytes(unit)));
  if (method === METHOD_SAME || method === METHOD_SAME_UNMAP)
    return min(rest, min(unit.sameBytes, zeroingPieceBytes(unit)));
  const whole = min(rest, unit.transferBytes);
  return method === METHOD_ZERO_WRITE ? whole : min(whole, PIECE_BYTES_MAX - (request.cut & (PIECE_BYTES_MAX - 1)));
}

/** Cuts the next piece of `request`, of `bytes` bytes, into `command`. */
function cut(unit: Unit, request: Request, command: Command, bytes: u32): void {
  const at = request.cut;
  command.pieceOffset = at;
  command.pieceBytes = bytes;
  command.lba = request.method === METHOD_SYNC ? 0 : (request.offset + <u64>at) >> unit.blockShift;
  command.method = request.method;
  command.firstNs = now;
  request.cut += bytes;
  request.pieces++;
  build(unit, request, command);
}

/** Whether an UNMAP in the host, perhaps an orphan, still uses the page for a parameter list that `request` has brought. */
function ownListTaken(request: Request): bool {
  for (let command = request.commands.first; changetype<usize>(command) !== 0; command = command.nextOfRequest) {
    if (command.ownBuffer === 0) return true;
  }
  return false;
}

/** There is no room for another parameter list: `request` continues when a piece is settled. If none will be, it fails. */
function waitForList(request: Request): void {
  if (request.pieces === 0) requestFail(request, EIO);
  else requestUnqueue(request, REQUEST_FLIGHT);
}

/**
 * Writes the CDB and the data buffer of a piece. The device's capabilities may have changed since its request was accepted, and
 * between its pieces; so this is where it is decided whether the command has FUA or SYNCHRONIZE CACHE has to follow.
 */
export function build(unit: Unit, request: Request, command: Command): void {
  const blocks = command.pieceBytes >> unit.blockShift;
  const method = command.method;
  const fua =
    ((<u32>request.flags) & OPERATION_FLAG_FUA) !== 0 &&
    method <= METHOD_ZERO_WRITE &&
    (unit.capabilities & UNIT_CAN_FUA) !== 0;
  if (((<u32>request.flags) & OPERATION_FLAG_FUA) !== 0 && !fua && changesMedium(method)) {
    if (request.syncAfter === 0) request.powerLosses = u32.MAX_VALUE;
    request.syncAfter = 1;
  }
  command.bufferBytes = command.pieceBytes;
  if (method === METHOD_READ) {
    cdbRead(command, command.lba, blocks, unit.shortIo !== 0);
    if (command.ownBuffer !== 0) command.buffer = command.ownBuffer;
    else
      command.buffer = readsEdge(request)
        ? edgeAddress(request, command.pieceOffset)
        : dataAddress(request, command.pieceOffset);
  } else if (method === METHOD_WRITE || method === METHOD_ZERO_WRITE) {
    cdbWrite(command, command.lba, blocks, fua ? FUA : 0, unit.shortIo !== 0);
    command.buffer = method === METHOD_WRITE ? dataAddress(request, request.base + command.pieceOffset) : <u32>zeroes;
  } else if (method === METHOD_SYNC) {
    cdbSynchronizeCache(command, unit.shortSync !== 0);
    command.buffer = 0;
    command.bufferBytes = 0;
  } else if (method === METHOD_UNMAP) {
    command.buffer = command.ownBuffer !== 0 ? command.ownBuffer : <u32>requestBlock(request, 0);
    command.bufferBytes = UNMAP_LIST_BYTES;
    cdbUnmap(command, command.lba, blocks, command.buffer);
  } else if (method === METHOD_STATUS) {
    command.buffer = command.ownBuffer !== 0 ? command.ownBuffer : <u32>requestBlock(request, 0);
    command.bufferBytes = LBA_STATUS_BYTES;
    cdbGetLbaStatus(command, command.lba, LBA_STATUS_BYTES);
  } else {
    cdbWriteSame(command, command.lba, blocks, method === METHOD_SAME_UNMAP ? SAME_UNMAP : 0);
    command.buffer = <u32>zeroes;
    command.bufferBytes = unit.blockBytes;
  }
}

function dataAddress(request: Request, at: u32): u32 {
  return <u32>requestBlock(request, at / PIECE_BYTES_MAX) + (at & (PIECE_BYTES_MAX - 1));
}

/** No path of the unit may get I/O. */
export const NO_PATH: i32 = -1;
/** Those that may have no room now. */
export const NO_ROOM: i32 = -2;
/** The command has failed on all that may. */
const ALL_TRIED: i32 = -3;
/** It has failed on all that may, except some that do not answer at present. */
export const ONLY_STALLED: i32 = -4;

export function choose(unit: Unit, command: Command): i32 {
  const allowed = unit.eligible & ~command.tried;
  if (allowed === 0) return unit.eligible === 0 ? NO_PATH : ALL_TRIED;
  if ((allowed & ~unit.stalled) === 0 && (unit.eligible & ~unit.stalled) !== 0) return ONLY_STALLED;
  return chooseFor(unit, allowed, command.pieceBytes, command.method !== METHOD_READ, command.request.client.index);
}

/** Chooses a slot among `allowed` (all eligible). It waits for room on the paths that are preferred, but not on account of orphans. */
function chooseFor(unit: Unit, allowed: u32, bytes: u32, write: bool, affinity: u32): i32 {
  if (allowed === 0) return NO_PATH;
  let among = allowed;
  let slot = chooseAmong(unit, among, bytes, write, affinity);
  while (slot === NO_ROOM) {
    const others = among & ~hopeless(unit, among & unit.full);
    if (others === 0 || others === among) break;
    among = others;
    slot = chooseAmong(unit, among, bytes, write, affinity);
  }
  return slot;
}

/** The policy within the best tier, priority in lower ones. */
function chooseAmong(unit: Unit, allowed: u32, bytes: u32, write: bool, affinity: u32): i32 {
  let among = allowed & unit.usable;
  if (among !== 0) {
    if (unit.policy !== POLICY_STATIC) {
      among &= ~unit.full;
      if (among === 0) return NO_ROOM;
    }
    const slot = unit.selection.pick(among, bytes, write, affinity, now);
    return ((unit.full >> slot) & 1) !== 0 ? NO_ROOM : <i32>slot;
  }
  among = allowed & unit.tier2;
  if (among === 0) among = allowed & unit.tier3;
  if (among === 0) among = allowed & unit.tier4;
  if (among === 0) among = allowed & unit.tier5;
  return highest(unit, among & ~unit.full);
}

/** Of the slots of full paths, those that have nothing but orphans: no answer is sure to make room there. */
function hopeless(unit: Unit, full: u32): u32 {
  let slots: u32 = 0;
  for (let rest = full; rest !== 0; rest &= rest - 1) {
    const path = unitPath(unit, ctz(rest));
    if (path.orphansHeld >= path.inFlight) slots |= rest & -rest;
  }
  return slots;
}

/** Chooses a slot for a piece that is already on `taken`: one that is not stalled, or none (negative). */
export function chooseOther(unit: Unit, taken: u32, bytes: u32, write: bool, affinity: u32): i32 {
  const allowed = unit.eligible & ~unit.stalled & ~taken;
  return allowed === 0 ? NO_PATH : chooseFor(unit, allowed, bytes, write, affinity);
}

/** The slot with the highest priority, NO_ROOM when there is none. */
function highest(unit: Unit, among: u32): i32 {
  let best: i32 = NO_ROOM;
  let bestPriority: u32 = 0;
  for (let rest = among; rest !== 0; rest &= rest - 1) {
    const slot = ctz(rest);
    const priority = <u32>unitPath(unit, slot).priority;
    if (priority > bestPriority) {
      bestPriority = priority;
      best = <i32>slot;
    }
  }
  return best;
}

/** Time after which the host ends a command itself. */
function hostNs(unit: Unit, path: Path, command: Command): u64 {
  const request = command.request;
  const leftNs = request.deadlineNs > now ? request.deadlineNs - now : 0;
  if (command.method <= METHOD_ZERO_WRITE) {
    const ns = min(leftNs, unit.commandTimeoutNs);
    return path.lost !== 0 && lossy(path) ? min(ns, lossyNs(unit)) : ns;
  }
  if (!isLong(command.method)) return leftNs;
  // The time of a request of many commands restarts with each one that is done before this one.
  const many = request.total !== command.pieceBytes && request.method !== METHOD_SYNC;
  return longHostNs(unit, command, many ? leftNs + unit.ioTimeoutNs : leftNs);
}

/** Sends a command on the path in `slot`. */
export function issue(command: Command, slot: u32): void {
  const unit = command.unit;
  const path = unitPath(unit, slot);
  if (isLong(command.method)) unit.longs++;
  command.timeoutMs = <u32>(hostNs(unit, path, command) / MILLISECOND) + 1;
  command.timeNs = now;
  command.powerLosses = unit.powerLosses;
  command.busyNs = busyNs;
  command.path = path;
  command.state = COMMAND_FLIGHT;
  command.generation++;
  listsOf(unit).inFlight.push(command);
  path.inFlight++;
  if (command.pieceBytes >= LARGE_BYTES && command.method <= METHOD_UNMAP) paceBegin(unit, command);
  stallArm(unit, command);
  // Behind a command that may take long nothing waits for what the device has to tell.
  if (path.inFlight >= path.depth || (registrationUnheard(path) && !isLong(command.method)))
    unit.full |= (<u32>1) << slot;
  command.note = unit.selection.started(slot, command.bufferBytes, command.method !== METHOD_READ, now);
  const tag = makeTag(TAG_COMMAND, command.generation, command.index);
  submit(path.arrayPort !== 0, OP_SCSI, 0, tag, path.port, changetype<usize>(command), 0);
}
