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
export function parseRequests(connection: Connection): void {
  while (connection.state === CONNECTION_OPEN) {
    if (connection.drainBytes !== 0 && !drain(connection)) return;
    if (connection.drainError !== 0) {
      const error = connection.drainError;
      if (!answerError(connection, connection.drainKind, connection.drainCookie, connection.drainOffset, error)) return;
      connection.drainError = 0;
    }
    if (changetype<usize>(connection.payload) !== 0) {
      takePayload(connection);
      if (changetype<usize>(connection.payload) !== 0) return;
    }
    if (connection.end - connection.begin < headerBytes(connection) || !parseRequest(connection)) return;
  }
}

function headerBytes(connection: Connection): u32 {
  return (connection.flags & CONNECTION_EXTENDED) !== 0 ? EXTENDED_HEADER_BYTES : HEADER_BYTES;
}

/** Discards payload bytes; true when all of them are gone. */
function drain(connection: Connection): bool {
  const bytes = min(connection.drainBytes, connection.end - connection.begin);
  connection.begin += bytes;
  connection.drainBytes -= bytes;
  return connection.drainBytes === 0;
}

/** Answers an error; false when there is no room to do so yet. */
function answerError(connection: Connection, kind: u32, cookie: u64, offset: u64, error: u32): bool {
  if (!mayTake(connection, 0)) return false;
  const request = requestTake(connection.unit, connection, 0);
  if (request === null) {
    waitForRoom(connection);
    return false;
  }
  request.kind = <u16>kind;
  request.flags = 0;
  request.cookie = cookie;
  request.askedOffset = offset;
  request.askedBytes = 0;
  request.offset = 0;
  request.bytes = 0;
  request.error = error;
  request.method = METHOD_NONE;
  request.total = 0;
  requestAccept(request);
  return true;
}

/** Parses one request at `begin`; false when it has to wait (for more bytes or for room). */
function parseRequest(connection: Connection): bool {
  const header = connection.receiveBuffer + connection.begin;
  if ((connection.flags & CONNECTION_EXTENDED) !== 0) return parseExtended(connection, header);
  if (bswap<u32>(load<u32>(header)) !== REQUEST_MAGIC) {
    connectionShut(connection, negated(EINVAL));
    return false;
  }
  const flags = <u32>bswap<u16>(load<u16>(header, 4));
  const kind = <u32>bswap<u16>(load<u16>(header, 6));
  return parsed(connection, header, kind, flags, <u64>bswap<u32>(load<u32>(header, 24)), kind === OPERATION_WRITE);
}

/** With extended headers a flag says whether a payload follows; a write has one in any case. */
function parseExtended(connection: Connection, header: usize): bool {
  if (bswap<u32>(load<u32>(header)) !== EXTENDED_MAGIC) {
    connectionShut(connection, negated(EINVAL));
    return false;
  }
  const flags = <u32>bswap<u16>(load<u16>(header, 4));
  const kind = <u32>bswap<u16>(load<u16>(header, 6));
  const bytes = bswap<u64>(load<u64>(header, 24));
  if (kind === OPERATION_WRITE) return parsed(connection, header, kind, flags & ~FLAG_PAYLOAD_LENGTH, bytes, true);
  return parsed(connection, header, kind, flags, bytes, (flags & FLAG_PAYLOAD_LENGTH) !== 0);
}

/** A valid header was read: the same as `parseRequest`. */
function parsed(connection: Connection, header: usize, kind: u32, flags: u32, bytes: u64, payload: bool): bool {
  const cookie = load<u64>(header, 8);
  const offset = bswap<u64>(load<u64>(header, 16));
  if (kind === NBD_DISCONNECT) {
    connectionDrain(connection);
    return false;
  }
  const error = check(connection, kind, flags, offset, bytes);
  if (error === 0) return take(connection, kind, flags, cookie, offset, bytes);
  if (payload) {
    if (bytes > 2 * payloadBytesMax) {
      connectionShut(connection, negated(EINVAL));
      return false;
    }
    connection.begin += headerBytes(connection);
    connection.drainBytes = <u32>bytes;
    connection.drainError = error;
    connection.drainKind = kind;
    connection.drainCookie = cookie;
    connection.drainOffset = offset;
    return true;
  }
  if (!answerError(connection, kind, cookie, offset, error)) return false;
  connection.begin += headerBytes(connection);
  return true;
}

/** Command flags that a client may use with a command. */
function flagsAllowed(connection: Connection, kind: u32): u32 {
  if (kind === OPERATION_READ && (connection.flags & CONNECTION_STRUCTURED) !== 0) return OPERATION_FLAG_FUA | FLAG_DF;
  if (kind === OPERATION_STATUS) return OPERATION_FLAG_FUA | FLAG_ONE_EXTENT;
  if (kind !== OPERATION_WRITE_ZEROES) return OPERATION_FLAG_FUA;
  return (
    OPERATION_FLAG_FUA |
    OPERATION_FLAG_NO_HOLE |
    ((connection.flags & CONNECTION_FAST_ZERO) !== 0 ? OPERATION_FLAG_FAST_ZERO : 0)
  );
}

/** Whether a command was announced or agreed to in the negotiation. */
function offered(connection: Connection, kind: u32): bool {
  if (kind === OPERATION_TRIM) return (connection.flags & (CONNECTION_TRIM | CONNECTION_READ_ONLY)) !== 0;
  if (kind === OPERATION_STATUS) return (connection.flags & CONNECTION_ALLOCATION) !== 0;
  return kind <= OPERATION_WRITE_ZEROES;
}

/** What is wrong with a request: an NBD error, 0 when it is valid. */
function check(connection: Connection, kind: u32, flags: u32, offset: u64, bytes: u64): u32 {
  const unit = connection.unit;
  const writes = kind === OPERATION_WRITE || kind === OPERATION_TRIM || kind === OPERATION_WRITE_ZEROES;
  if (
    (kind > OPERATION_FLUSH && !offered(connection, kind)) ||
    (flags !== 0 && (flags & ~flagsAllowed(connection, kind)) !== 0)
  ) {
    return EINVAL;
  }
  if (writes && ((connection.flags & CONNECTION_READ_ONLY) !== 0 || (unit.capabilities & UNIT_CAN_NOT_WRITE) !== 0)) {
    return EPERM;
  }
  if (kind === OPERATION_FLUSH) return 0;
  const partial = (offset | bytes) & (<u64>unit.blockBytes - 1);
  if (partial !== 0 && (connection.flags & CONNECTION_UNALIGNED) === 0) return EINVAL;
  const size = unit.blocks << unit.blockShift;
  if (bytes > size || offset > size - bytes) return pastEnd(kind);
  if (kind === OPERATION_STATUS && bytes === 0) return EINVAL;
  if (kind <= OPERATION_WRITE && (bytes > payloadBytesMax || (partial !== 0 && !fitsPool(unit, kind, offset, bytes)))) {
    return kind === OPERATION_WRITE || (flags & FLAG_DF) !== 0 ? EOVERFLOW : EINVAL;
  }
  if ((flags & OPERATION_FLAG_FAST_ZERO) !== 0 && zeroMethod(unit, flags) === METHOD_ZERO_WRITE) return ENOTSUP;
  return 0;
}

/** Whether the pool is large enough: rounded up to whole blocks, the largest payload may exceed a very small pool. */
function fitsPool(unit: Unit, kind: u32, offset: u64, bytes: u64): bool {
  const edges = kind === OPERATION_WRITE ? poolBytesFor(edgeBytes(unit, offset, bytes)) : 0;
  return poolBytesFor(<u32>spanBytes(unit, offset, bytes)) + edges <= poolBytes;
}

/** Bytes for edges of `bytes` bytes from `offset` on; 0 when they are whole blocks. */
function edgeBytes(unit: Unit, offset: u64, bytes: u64): u32 {
  return ((offset | bytes) & (<u64>unit.blockBytes - 1)) === 0 ? 0 : EDGES_BYTES;
}

/** Makes a request from a valid header; false when it has to wait. */
function take(connection: Connection, kind: u32, flags: u32, cookie: u64, offset: u64, bytes: u64): bool {
  const unit = connection.unit;
  const headBytes = headerBytes(connection);
  const there = connection.end - connection.begin - headBytes;
  if (kind === OPERATION_WRITE && bytes <= SMALL_PAYLOAD_BYTES && <u64>there < bytes) return false;
  const method = methodOf(unit, kind, flags);
  const partial = ((offset | bytes) & (<u64>unit.blockBytes - 1)) !== 0;
  let data = dataBytes(unit, kind, method, bytes);
  let edges: u32 = 0;
  if (partial) {
    if (kind <= OPERATION_WRITE) data = <u32>spanBytes(unit, offset, bytes);
    else if (kind === OPERATION_WRITE_ZEROES) data = EDGES_BYTES;
    if (kind === OPERATION_WRITE || kind === OPERATION_WRITE_ZEROES) edges = EDGES_BYTES;
  }
  if (!mayTake(connection, data + edges)) return false;
  const request = requestTake(unit, connection, data, edges);
  if (request === null) {
    waitForRoom(connection);
    return false;
  }
  connection.begin += headBytes;
  requestFill(
    request,
    kind,
    flags | ((connection.flags & CONNECTION_EXTENDED) !== 0 ? FLAG_WIDE_EXTENTS : 0),
    method,
    cookie,
  );
  requestCover(unit, request, offset, bytes);
  if (kind === OPERATION_STATUS && method === METHOD_NONE) allocated(request);
  if (kind === OPERATION_WRITE && bytes !== 0) {
    connection.payload = request;
    connection.payloadBytes = 0;
    takePayload(connection);
    return changetype<usize>(connection.payload) === 0;
  }
  requestAccept(request);
  return true;
}

/** Copies what the receive buffer holds of a payload into the request's buffers. */
function takePayload(connection: Connection): void {
  while (connection.begin !== connection.end && changetype<usize>(connection.payload) !== 0) {
    const bytes = min(connection.end - connection.begin, payloadTargetBytes(connection));
    memory.copy(payloadTarget(connection), connection.receiveBuffer + connection.begin, bytes);
    connection.begin += bytes;
    payloadArrived(connection, bytes);
  }
}

/** Where the next payload byte goes; 0 when no payload is being received. */
export function payloadTarget(connection: Connection): usize {
  if (changetype<usize>(connection.payload) === 0) return 0;
  const at = connection.payloadBytes + <u32>connection.payload.lead;
  return requestBlock(connection.payload, at / PIECE_BYTES_MAX) + (at & (PIECE_BYTES_MAX - 1));
}

/** How many bytes may be received there at once. */
export function payloadTargetBytes(connection: Connection): u32 {
  const at = connection.payloadBytes + <u32>connection.payload.lead;
  return min(
    <u32>connection.payload.askedBytes - connection.payloadBytes,
    PIECE_BYTES_MAX - (at & (PIECE_BYTES_MAX - 1)),
  );
}

/** `bytes` of the payload have been put there. */
export function payloadArrived(connection: Connection, bytes: u32): void {
  const request = connection.payload;
  connection.payloadBytes += bytes;
  assert(<u64>connection.payloadBytes <= request.askedBytes);
  if (<u64>connection.payloadBytes < request.askedBytes) return;
  connection.payload = changetype<Request>(0);
  requestAccept(request);
}
