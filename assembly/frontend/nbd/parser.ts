// The transmission phase of the NBD protocol, server side (NBD protocol document, "Transmission phase").
//
// Requests are parsed in place in the receive buffer, as many as one RECV brought. A write with a small payload waits in the
// receive buffer until it is complete, so a client that stops in the middle holds nothing; a large write gets its buffers at once
// and the rest of its payload is received directly into them.
//
// Errors: a wrong magic, or a payload of more than twice the limit, closes the connection, because nothing after it can be
// trusted. Everything else is answered with an NBD error, and the payload of a refused write is discarded. An unknown command
// cannot have a payload, as far as this server knows.

import {
  CONNECTION_ALLOCATION,
  CONNECTION_EXTENDED,
  CONNECTION_FAST_ZERO,
  CONNECTION_READ_ONLY,
  CONNECTION_STRUCTURED,
  CONNECTION_TRIM,
  CONNECTION_UNALIGNED,
  OPERATION_FLAG_FAST_ZERO,
  OPERATION_FLAG_FUA,
  OPERATION_FLAG_NO_HOLE,
  OPERATION_FLUSH,
  OPERATION_READ,
  OPERATION_TRIM,
  OPERATION_WRITE,
  OPERATION_WRITE_ZEROES,
  PIECE_BYTES_MAX,
  UNIT_CAN_NOT_WRITE,
} from "../../abi";
import { EINVAL, ENOTSUP, EOVERFLOW, EPERM, negated } from "../../memory/errno";
import { payloadBytesMax, poolBytes } from "../../memory/memory";
import { FLAG_ONE_EXTENT, FLAG_WIDE_EXTENTS, OPERATION_STATUS } from "../../memory/operations";
import { CONNECTION_OPEN, Connection, METHOD_NONE, METHOD_ZERO_WRITE, Request } from "../../memory/records";
import { Unit } from "../../memory/topology";
import { mayTake, waitForRoom } from "../../request/admission";
import { allocated } from "../../request/allocation";
import { dataBytes, requestCover, requestFill } from "../../request/cover";
import { EDGES_BYTES, spanBytes } from "../../request/legs";
import { methodOf, pastEnd, zeroMethod } from "../../request/method";
import { poolBytesFor, requestBlock, requestTake } from "../../request/pool";
import { requestAccept } from "../../request/request";
import { connectionDrain, connectionShut } from "./closing";

const REQUEST_MAGIC: u32 = 0x25609513;
const HEADER_BYTES: u32 = 28;
/** The same with extended headers: the length has 64 bits. */
const EXTENDED_MAGIC: u32 = 0x21e41c71;
const EXTENDED_HEADER_BYTES: u32 = 32;
const NBD_DISCONNECT: u32 = 2;
const FLAG_DF: u32 = 4;
/** A payload of as many bytes as the length says follows. */
const FLAG_PAYLOAD_LENGTH: u32 = 32;

/** Payloads up to this size are awaited in the receive buffer. */
const SMALL_PAYLOAD_BYTES: u32 = 16384;

/** Parses the receive buffer until it is empty or there is no room for a request. */
export function parseRequests(n: Connection): void {
  while (n.state === CONNECTION_OPEN) {
    if (n.drainBytes !== 0 && !drain(n)) return;
    if (n.drainError !== 0) {
      const error = n.drainError;
      if (!answerError(n, n.drainKind, n.drainCookie, n.drainOffset, error)) return;
      n.drainError = 0;
    }
    if (changetype<usize>(n.payload) !== 0) {
      takePayload(n);
      if (changetype<usize>(n.payload) !== 0) return;
    }
    if (n.end - n.begin < headerBytes(n) || !parseRequest(n)) return;
  }
}

function headerBytes(n: Connection): u32 {
  return (n.flags & CONNECTION_EXTENDED) !== 0 ? EXTENDED_HEADER_BYTES : HEADER_BYTES;
}

/** Discards payload bytes; true when all of them are gone. */
function drain(n: Connection): bool {
  const bytes = min(n.drainBytes, n.end - n.begin);
  n.begin += bytes;
  n.drainBytes -= bytes;
  return n.drainBytes === 0;
}

/** Answers an error; false when there is no room to do so yet. */
function answerError(n: Connection, kind: u32, cookie: u64, offset: u64, error: u32): bool {
  if (!mayTake(n, 0)) return false;
  const r = requestTake(n.unit, n, 0);
  if (r === null) {
    waitForRoom(n);
    return false;
  }
  r.kind = <u16>kind;
  r.flags = 0;
  r.cookie = cookie;
  r.askedOffset = offset;
  r.askedBytes = 0;
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
  if ((n.flags & CONNECTION_EXTENDED) !== 0) return parseExtended(n, header);
  if (bswap<u32>(load<u32>(header)) !== REQUEST_MAGIC) {
    connectionShut(n, negated(EINVAL));
    return false;
  }
  const flags = <u32>bswap<u16>(load<u16>(header, 4));
  const kind = <u32>bswap<u16>(load<u16>(header, 6));
  return parsed(n, header, kind, flags, <u64>bswap<u32>(load<u32>(header, 24)), kind === OPERATION_WRITE);
}

/** With extended headers a flag says whether a payload follows; a write has one in any case. */
function parseExtended(n: Connection, header: usize): bool {
  if (bswap<u32>(load<u32>(header)) !== EXTENDED_MAGIC) {
    connectionShut(n, negated(EINVAL));
    return false;
  }
  const flags = <u32>bswap<u16>(load<u16>(header, 4));
  const kind = <u32>bswap<u16>(load<u16>(header, 6));
  const bytes = bswap<u64>(load<u64>(header, 24));
  if (kind === OPERATION_WRITE) return parsed(n, header, kind, flags & ~FLAG_PAYLOAD_LENGTH, bytes, true);
  return parsed(n, header, kind, flags, bytes, (flags & FLAG_PAYLOAD_LENGTH) !== 0);
}

/** A valid header was read: the same as `parseRequest`. */
function parsed(n: Connection, header: usize, kind: u32, flags: u32, bytes: u64, payload: bool): bool {
  const cookie = load<u64>(header, 8);
  const offset = bswap<u64>(load<u64>(header, 16));
  if (kind === NBD_DISCONNECT) {
    connectionDrain(n);
    return false;
  }
  const error = check(n, kind, flags, offset, bytes);
  if (error === 0) return take(n, kind, flags, cookie, offset, bytes);
  if (payload) {
    if (bytes > 2 * payloadBytesMax) {
      connectionShut(n, negated(EINVAL));
      return false;
    }
    n.begin += headerBytes(n);
    n.drainBytes = <u32>bytes;
    n.drainError = error;
    n.drainKind = kind;
    n.drainCookie = cookie;
    n.drainOffset = offset;
    return true;
  }
  if (!answerError(n, kind, cookie, offset, error)) return false;
  n.begin += headerBytes(n);
  return true;
}

/** Command flags that a client may use with a command. */
function flagsAllowed(n: Connection, kind: u32): u32 {
  if (kind === OPERATION_READ && (n.flags & CONNECTION_STRUCTURED) !== 0) return OPERATION_FLAG_FUA | FLAG_DF;
  if (kind === OPERATION_STATUS) return OPERATION_FLAG_FUA | FLAG_ONE_EXTENT;
  if (kind !== OPERATION_WRITE_ZEROES) return OPERATION_FLAG_FUA;
  return (
    OPERATION_FLAG_FUA |
    OPERATION_FLAG_NO_HOLE |
    ((n.flags & CONNECTION_FAST_ZERO) !== 0 ? OPERATION_FLAG_FAST_ZERO : 0)
  );
}

/** Whether a command was announced or agreed to in the negotiation. */
function offered(n: Connection, kind: u32): bool {
  if (kind === OPERATION_TRIM) return (n.flags & (CONNECTION_TRIM | CONNECTION_READ_ONLY)) !== 0;
  if (kind === OPERATION_STATUS) return (n.flags & CONNECTION_ALLOCATION) !== 0;
  return kind <= OPERATION_WRITE_ZEROES;
}

/** What is wrong with a request: an NBD error, 0 when it is valid. */
function check(n: Connection, kind: u32, flags: u32, offset: u64, bytes: u64): u32 {
  const u = n.unit;
  const writes = kind === OPERATION_WRITE || kind === OPERATION_TRIM || kind === OPERATION_WRITE_ZEROES;
  if ((kind > OPERATION_FLUSH && !offered(n, kind)) || (flags !== 0 && (flags & ~flagsAllowed(n, kind)) !== 0)) {
    return EINVAL;
  }
  if (writes && ((n.flags & CONNECTION_READ_ONLY) !== 0 || (u.capabilities & UNIT_CAN_NOT_WRITE) !== 0)) {
    return EPERM;
  }
  if (kind === OPERATION_FLUSH) return 0;
  const partial = (offset | bytes) & (<u64>u.blockBytes - 1);
  if (partial !== 0 && (n.flags & CONNECTION_UNALIGNED) === 0) return EINVAL;
  const size = u.blocks << u.blockShift;
  if (bytes > size || offset > size - bytes) return pastEnd(kind);
  if (kind === OPERATION_STATUS && bytes === 0) return EINVAL;
  if (kind <= OPERATION_WRITE && (bytes > payloadBytesMax || (partial !== 0 && !fitsPool(u, kind, offset, bytes)))) {
    return kind === OPERATION_WRITE || (flags & FLAG_DF) !== 0 ? EOVERFLOW : EINVAL;
  }
  if ((flags & OPERATION_FLAG_FAST_ZERO) !== 0 && zeroMethod(u, flags) === METHOD_ZERO_WRITE) return ENOTSUP;
  return 0;
}

/** Whether the pool is large enough: rounded up to whole blocks, the largest payload may exceed a very small pool. */
function fitsPool(u: Unit, kind: u32, offset: u64, bytes: u64): bool {
  const edges = kind === OPERATION_WRITE ? poolBytesFor(edgeBytes(u, offset, bytes)) : 0;
  return poolBytesFor(<u32>spanBytes(u, offset, bytes)) + edges <= poolBytes;
}

/** Bytes for edges of `bytes` bytes from `offset` on; 0 when they are whole blocks. */
function edgeBytes(u: Unit, offset: u64, bytes: u64): u32 {
  return ((offset | bytes) & (<u64>u.blockBytes - 1)) === 0 ? 0 : EDGES_BYTES;
}

/** Makes a request from a valid header; false when it has to wait. */
function take(n: Connection, kind: u32, flags: u32, cookie: u64, offset: u64, bytes: u64): bool {
  const u = n.unit;
  const headBytes = headerBytes(n);
  const there = n.end - n.begin - headBytes;
  if (kind === OPERATION_WRITE && bytes <= SMALL_PAYLOAD_BYTES && <u64>there < bytes) return false;
  const method = methodOf(u, kind, flags);
  const partial = ((offset | bytes) & (<u64>u.blockBytes - 1)) !== 0;
  let data = dataBytes(u, kind, method, bytes);
  let edges: u32 = 0;
  if (partial) {
    if (kind <= OPERATION_WRITE) data = <u32>spanBytes(u, offset, bytes);
    else if (kind === OPERATION_WRITE_ZEROES) data = EDGES_BYTES;
    if (kind === OPERATION_WRITE || kind === OPERATION_WRITE_ZEROES) edges = EDGES_BYTES;
  }
  if (!mayTake(n, data + edges)) return false;
  const r = requestTake(u, n, data, edges);
  if (r === null) {
    waitForRoom(n);
    return false;
  }
  n.begin += headBytes;
  requestFill(r, kind, flags | ((n.flags & CONNECTION_EXTENDED) !== 0 ? FLAG_WIDE_EXTENTS : 0), method, cookie);
  requestCover(u, r, offset, bytes);
  if (kind === OPERATION_STATUS && method === METHOD_NONE) allocated(r);
  if (kind === OPERATION_WRITE && bytes !== 0) {
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

/** Where the next payload byte goes; 0 when no payload is being received. */
export function payloadTarget(n: Connection): usize {
  if (changetype<usize>(n.payload) === 0) return 0;
  const at = n.payloadBytes + <u32>n.payload.lead;
  return requestBlock(n.payload, at / PIECE_BYTES_MAX) + (at & (PIECE_BYTES_MAX - 1));
}

/** How many bytes may be received there at once. */
export function payloadTargetBytes(n: Connection): u32 {
  const at = n.payloadBytes + <u32>n.payload.lead;
  return min(<u32>n.payload.askedBytes - n.payloadBytes, PIECE_BYTES_MAX - (at & (PIECE_BYTES_MAX - 1)));
}

/** `bytes` of the payload have been put there. */
export function payloadArrived(n: Connection, bytes: u32): void {
  const r = n.payload;
  n.payloadBytes += bytes;
  assert(<u64>n.payloadBytes <= r.askedBytes);
  if (<u64>n.payloadBytes < r.askedBytes) return;
  n.payload = changetype<Request>(0);
  requestAccept(r);
}
