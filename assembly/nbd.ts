// The transmission phase of the NBD protocol, the server's side (NBD protocol document, "Transmission phase").
//
// Requests are parsed in place from the receive buffer, as many as one RECV brought. A write whose payload is small
// waits in the receive buffer until it is whole, so a client that stops in the middle holds nothing; a large one gets
// its buffers at once and the rest of its payload is received directly into them.
//
// What a client gets for what is wrong: a wrong magic, or a payload of more than twice the limit, closes the
// connection, because nothing that follows can be trusted. Everything else is answered with an NBD error, the payload
// of a refused write being thrown away. An unknown command cannot have a payload, as far as this server knows.

import {
  CONNECTION_FAST_ZERO,
  CONNECTION_READ_ONLY,
  CONNECTION_STRUCTURED,
  NBD_PAYLOAD_BYTES_MAX,
  PIECE_BYTES_MAX,
  UNIT_CAN_NOT_WRITE,
  UNIT_CAN_UNMAP,
  UNIT_CAN_WRITE_SAME,
  UNIT_CAN_WRITE_SAME_UNMAP,
} from "./abi";
import { mayTake, waitForRoom } from "./admission";
import { cachesWrites } from "./cache";
import { connectionDrain, connectionShut } from "./connection";
import {
  CONNECTION_OPEN,
  Connection,
  METHOD_NONE,
  METHOD_READ,
  METHOD_SAME,
  METHOD_SAME_UNMAP,
  METHOD_SYNC,
  METHOD_UNMAP,
  METHOD_WRITE,
  METHOD_ZERO_WRITE,
  Request,
} from "./records";
import { requestAccept, requestBlock, requestTake } from "./request";
import { Unit } from "./topology";

const REQUEST_MAGIC: u32 = 0x25609513;
const HEADER_BYTES: u32 = 28;

const NBD_READ: u32 = 0;
const NBD_WRITE: u32 = 1;
const NBD_DISCONNECT: u32 = 2;
export const NBD_FLUSH: u32 = 3;
const NBD_TRIM: u32 = 4;

const NBD_WRITE_ZEROES: u32 = 6;

const FLAG_FUA: u32 = 1;
const FLAG_NO_HOLE: u32 = 2;
const FLAG_DF: u32 = 4;
const FLAG_FAST_ZERO: u32 = 16;

export const NBD_EPERM: u32 = 1;
export const NBD_EIO: u32 = 5;
export const NBD_EINVAL: u32 = 22;
export const NBD_ENOSPC: u32 = 28;
export const NBD_EOVERFLOW: u32 = 75;
export const NBD_ENOTSUP: u32 = 95;

/** Payloads up to this size are awaited in the receive buffer. */
const SMALL_PAYLOAD_BYTES: u32 = 16384;

/** Parses what the receive buffer holds, until it is used up or there is no room for a request. */
export function parseRequests(n: Connection): void {
  while (n.state === CONNECTION_OPEN) {
    if (n.drainBytes !== 0 && !drain(n)) return;
    if (n.drainError !== 0) {
      const error = n.drainError;
      if (!answerError(n, n.drainKind, n.drainCookie, error)) return;
      n.drainError = 0;
    }
    if (changetype<usize>(n.payload) !== 0) {
      takePayload(n);
      if (changetype<usize>(n.payload) !== 0) return;
    }
    if (n.end - n.begin < HEADER_BYTES || !parseRequest(n)) return;
  }
}

/** Throws payload bytes away; true when all of them are gone. */
function drain(n: Connection): bool {
  const bytes = min(n.drainBytes, n.end - n.begin);
  n.begin += bytes;
  n.drainBytes -= bytes;
  return n.drainBytes === 0;
}

/** Answers an error; false when there is no room to do so yet. */
function answerError(n: Connection, kind: u32, cookie: u64, error: u32): bool {
  if (!mayTake(n, 0)) return false;
  const r = requestTake(n.unit, n, 0);
  if (r === null) {
    waitForRoom(n);
    return false;
  }
  r.kind = <u16>kind;
  r.flags = 0;
  r.cookie = cookie;
  r.offset = 0;
  r.bytes = 0;
  r.error = error;
  r.method = METHOD_NONE;
  r.total = 0;
  requestAccept(r);
  return true;
}

/** Parses one request at `begin`; false when it has to wait (for more bytes or for room). */
function parseRequest(n: Connection): bool {
  const header = n.receiveBuffer + n.begin;
  if (bswap<u32>(load<u32>(header)) !== REQUEST_MAGIC) {
    connectionShut(n, -22);
    return false;
  }
  const flags = <u32>bswap<u16>(load<u16>(header, 4));
  const kind = <u32>bswap<u16>(load<u16>(header, 6));
  const cookie = load<u64>(header, 8);
  const offset = bswap<u64>(load<u64>(header, 16));
  const bytes = bswap<u32>(load<u32>(header, 24));
  if (kind === NBD_DISCONNECT) {
    connectionDrain(n);
    return false;
  }
  const error = check(n, kind, flags, offset, bytes);
  if (kind === NBD_WRITE && (error !== 0 || bytes > NBD_PAYLOAD_BYTES_MAX)) {
    if (bytes > 2 * NBD_PAYLOAD_BYTES_MAX) {
      connectionShut(n, -22);
      return false;
    }
    n.begin += HEADER_BYTES;
    n.drainBytes = bytes;
    n.drainError = error;
    n.drainKind = kind;
    n.drainCookie = cookie;
    return true;
  }
  if (error !== 0) {
    if (!answerError(n, kind, cookie, error)) return false;
    n.begin += HEADER_BYTES;
    return true;
  }
  return take(n, kind, flags, cookie, offset, bytes);
}

/** What is wrong with a request: an NBD error, 0 when nothing is. */
function check(n: Connection, kind: u32, flags: u32, offset: u64, bytes: u32): u32 {
  const u = n.unit;
  let allowed: u32 = FLAG_FUA;
  const writes = kind === NBD_WRITE || kind === NBD_TRIM || kind === NBD_WRITE_ZEROES;
  if (kind === NBD_READ && (n.flags & CONNECTION_STRUCTURED) !== 0) allowed |= FLAG_DF;
  else if (kind === NBD_WRITE_ZEROES) {
    allowed |= FLAG_NO_HOLE;
    if ((n.flags & CONNECTION_FAST_ZERO) !== 0) allowed |= FLAG_FAST_ZERO;
  }
  if (kind > NBD_WRITE_ZEROES || (flags & ~allowed) !== 0) return NBD_EINVAL;
  if (writes && ((n.flags & CONNECTION_READ_ONLY) !== 0 || (u.capabilities & UNIT_CAN_NOT_WRITE) !== 0)) {
    return NBD_EPERM;
  }
  if (kind === NBD_FLUSH) return 0;
  const partial = <u64>u.blockBytes - 1;
  if (((offset | (<u64>bytes)) & partial) !== 0) return NBD_EINVAL;
  const size = u.blocks << u.blockShift;
  if (<u64>bytes > size || offset > size - <u64>bytes) {
    return kind === NBD_WRITE || kind === NBD_WRITE_ZEROES ? NBD_ENOSPC : NBD_EINVAL;
  }
  if (kind === NBD_READ && bytes > NBD_PAYLOAD_BYTES_MAX) return (flags & FLAG_DF) !== 0 ? NBD_EOVERFLOW : NBD_EINVAL;
  if (kind === NBD_WRITE && bytes > NBD_PAYLOAD_BYTES_MAX) return NBD_EOVERFLOW;
  if ((flags & FLAG_FAST_ZERO) !== 0 && zeroMethod(u, flags) === METHOD_ZERO_WRITE) return NBD_ENOTSUP;
  return 0;
}

/** How WRITE_ZEROES is done: unmapping when the client allows it and reading back gives zeroes; else WRITE SAME; else WRITE. */
function zeroMethod(u: Unit, flags: u32): u8 {
  if ((flags & FLAG_NO_HOLE) === 0 && (u.capabilities & UNIT_CAN_WRITE_SAME_UNMAP) !== 0) return METHOD_SAME_UNMAP;
  if ((u.capabilities & UNIT_CAN_WRITE_SAME) !== 0) return METHOD_SAME;
  return METHOD_ZERO_WRITE;
}

function methodOf(u: Unit, kind: u32, flags: u32): u8 {
  if (kind === NBD_READ) return METHOD_READ;
  if (kind === NBD_WRITE) return METHOD_WRITE;
  if (kind === NBD_WRITE_ZEROES) return zeroMethod(u, flags);
  // Without a volatile cache everything acknowledged is on the medium already.
  if (kind === NBD_FLUSH) return cachesWrites(u) ? METHOD_SYNC : METHOD_NONE;
  // TRIM and CACHE are hints: what the device cannot do need not be done.
  if (kind === NBD_TRIM && (u.capabilities & UNIT_CAN_UNMAP) !== 0) return METHOD_UNMAP;
  return METHOD_NONE;
}

/** Makes a request of a header that is in order; false when it has to wait. */
function take(n: Connection, kind: u32, flags: u32, cookie: u64, offset: u64, bytes: u32): bool {
  const u = n.unit;
  const there = n.end - n.begin - HEADER_BYTES;
  if (kind === NBD_WRITE && bytes <= SMALL_PAYLOAD_BYTES && there < bytes) return false;
  const method = methodOf(u, kind, flags);
  let dataBytes: u32 = 0;
  if (kind <= NBD_WRITE) dataBytes = bytes;
  else if (method === METHOD_UNMAP) dataBytes = u.blockBytes;
  if (!mayTake(n, dataBytes)) return false;
  const r = requestTake(u, n, dataBytes);
  if (r === null) {
    waitForRoom(n);
    return false;
  }
  n.begin += HEADER_BYTES;
  r.kind = <u16>kind;
  r.flags = <u16>flags;
  r.cookie = cookie;
  r.offset = offset;
  r.bytes = bytes;
  r.method = method;
  r.total = method === METHOD_SYNC ? 1 : bytes;
  if (kind === NBD_WRITE && bytes !== 0) {
    n.payload = r;
    n.payloadBytes = 0;
    takePayload(n);
    return changetype<usize>(n.payload) === 0;
  }
  requestAccept(r);
  return true;
}

/** Copies what the receive buffer holds of a payload into the request's buffers. */
function takePayload(n: Connection): void {
  while (n.begin !== n.end && changetype<usize>(n.payload) !== 0) {
    const bytes = min(n.end - n.begin, payloadTargetBytes(n));
    memory.copy(payloadTarget(n), n.receiveBuffer + n.begin, bytes);
    n.begin += bytes;
    payloadArrived(n, bytes);
  }
}

/** Where the next byte of a payload goes; 0 when none is coming in. */
export function payloadTarget(n: Connection): usize {
  if (changetype<usize>(n.payload) === 0) return 0;
  const at = n.payloadBytes;
  return requestBlock(n.payload, at / PIECE_BYTES_MAX) + (at & (PIECE_BYTES_MAX - 1));
}

/** How many bytes may go there at once. */
export function payloadTargetBytes(n: Connection): u32 {
  const at = n.payloadBytes;
  return min(n.payload.bytes - at, PIECE_BYTES_MAX - (at & (PIECE_BYTES_MAX - 1)));
}

/** `bytes` of the payload have been put there. */
export function payloadArrived(n: Connection, bytes: u32): void {
  const r = n.payload;
  n.payloadBytes += bytes;
  assert(n.payloadBytes <= r.bytes);
  if (n.payloadBytes < r.bytes) return;
  n.payload = changetype<Request>(0);
  requestAccept(r);
}
