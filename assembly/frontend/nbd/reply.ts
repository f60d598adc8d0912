// Replies in NBD's transmission phase (NBD protocol, "Simple reply message", "Structured reply chunk message" and "Extended
// reply chunk message"), gathered for one SEND: headers from the request slots, data from the requests' buffers. All fields are big-endian.

import {
  CONNECTION_EXTENDED,
  CONNECTION_STRUCTURED,
  GATHER_ADDRESS,
  GATHER_BYTES,
  GATHER_ENTRIES_MAX,
  GATHER_LENGTH,
  OPERATION_READ,
  PIECE_BYTES_MAX,
} from "../../abi";
import { OPERATION_STATUS } from "../../memory/operations";
import { Connection, REQUEST_HEADER, REQUEST_SENDING, Request } from "../../memory/records";
import { CONTEXT_ALLOCATION, extentBytes, extentsAt } from "../../request/allocation";
import { dataAt, dataRun } from "../../request/data";
import { requestBlock } from "../../request/pool";

const SIMPLE_MAGIC: u32 = 0x67446698;
const STRUCTURED_MAGIC: u32 = 0x668e33ef;
const CHUNK_DONE: u16 = 1;
const CHUNK_NONE: u16 = 0;
const CHUNK_OFFSET_DATA: u16 = 1;
const CHUNK_OFFSET_HOLE: u16 = 2;
const CHUNK_STATUS: u16 = 5;
const CHUNK_STATUS_EXTENDED: u16 = 6;
const CHUNK_ERROR: u16 = 0x8001;
const EXTENDED_MAGIC: u32 = 0x6e8a278c;
/** Smallest read that is scanned for zeroes; below it the scan costs more than it saves. */
const HOLE_BYTES_MIN: u32 = 32768;

let entry: usize = 0;
let entryEnd: usize = 0;
let sendBytes: u32 = 0;

/** Fills the connection's gather table with as many ready replies as fit; returns the number of entries. */
export function gatherReplies(connection: Connection): u32 {
  const ready = connection.readyRequests;
  entry = connection.gather;
  entryEnd = connection.gather + <usize>GATHER_ENTRIES_MAX * GATHER_BYTES;
  sendBytes = 0;
  while (connection.readyFirst !== 0) {
    const request = connection.readyRequests.first;
    const before = entry;
    if (!gatherReply(connection, request)) {
      entry = before;
      assert(before !== connection.gather);
      break;
    }
    ready.remove(request);
    request.state = REQUEST_SENDING;
    connection.sendingRequests.push(request);
  }
  connection.sendBytes = sendBytes;
  return <u32>((entry - connection.gather) / GATHER_BYTES);
}

function gather(address: usize, bytes: u32): bool {
  if (entry === entryEnd) return false;
  store<u32>(entry + GATHER_ADDRESS, <u32>address);
  store<u32>(entry + GATHER_LENGTH, bytes);
  entry += GATHER_BYTES;
  sendBytes += bytes;
  return true;
}

/** Adds one reply; false when it does not fit into the table (then none of it counts). */
function gatherReply(connection: Connection, request: Request): bool {
  const header = changetype<usize>(request) + REQUEST_HEADER;
  const bytesBefore = sendBytes;
  const kind = <u32>request.kind;
  const read = kind === OPERATION_READ;
  let fits: bool;
  const structured = (read || kind === OPERATION_STATUS) && (connection.flags & CONNECTION_STRUCTURED) !== 0;
  if (!structured && (connection.flags & CONNECTION_EXTENDED) === 0) {
    store<u32>(header, bswap<u32>(SIMPLE_MAGIC));
    store<u32>(header, bswap<u32>(request.error), 4);
    store<u64>(header, request.cookie, 8);
    fits = gather(header, 16) && (!read || request.error !== 0 || gatherData(request));
  } else fits = gatherChunk(connection, request, header);
  if (!fits) sendBytes = bytesBefore;
  return fits;
}

/** Writes the header of a chunk; returns its length. */
function chunkHeader(connection: Connection, request: Request, header: usize, type: u16, bytes: u32): u32 {
  store<u16>(header, bswap<u16>(CHUNK_DONE), 4);
  store<u16>(header, bswap<u16>(type), 6);
  store<u64>(header, request.cookie, 8);
  if ((connection.flags & CONNECTION_EXTENDED) === 0) {
    store<u32>(header, bswap<u32>(STRUCTURED_MAGIC));
    store<u32>(header, bswap<u32>(bytes), 16);
    return 20;
  }
  store<u32>(header, bswap<u32>(EXTENDED_MAGIC));
  store<u64>(header, bswap<u64>(request.askedOffset), 16);
  store<u64>(header, bswap<u64>(<u64>bytes), 24);
  return 32;
}

/** A reply is one chunk, the last of its kind: data, a hole, extents, nothing, or an error. So DF costs nothing. */
function gatherChunk(connection: Connection, request: Request, header: usize): bool {
  if (request.error !== 0) {
    const at = chunkHeader(connection, request, header, CHUNK_ERROR, 6);
    store<u32>(header + at, bswap<u32>(request.error));
    store<u16>(header + at, 0, 4);
    return gather(header, at + 6);
  }
  if (<u32>request.kind === OPERATION_STATUS) return gatherExtents(connection, request, header);
  if (<u32>request.kind !== OPERATION_READ || request.askedBytes === 0)
    return gather(header, chunkHeader(connection, request, header, CHUNK_NONE, 0));
  const bytes = <u32>request.askedBytes;
  if (isHole(request)) {
    const at = chunkHeader(connection, request, header, CHUNK_OFFSET_HOLE, 12);
    store<u64>(header + at, bswap<u64>(request.askedOffset));
    store<u32>(header + at, bswap<u32>(bytes), 8);
    return gather(header, at + 12);
  }
  const at = chunkHeader(connection, request, header, CHUNK_OFFSET_DATA, 8 + bytes);
  store<u64>(header + at, bswap<u64>(request.askedOffset));
  return gather(header, at + 8) && gatherData(request);
}

/** What is data and what is not: the number of the context, and its extents. */
function gatherExtents(connection: Connection, request: Request, header: usize): bool {
  const bytes = request.extents * extentBytes(request);
  const wide = (connection.flags & CONNECTION_EXTENDED) !== 0;
  assert(request.extents !== 0);
  const type = wide ? CHUNK_STATUS_EXTENDED : CHUNK_STATUS;
  let at = chunkHeader(connection, request, header, type, bytes + (wide ? 8 : 4));
  store<u32>(header + at, bswap<u32>(CONTEXT_ALLOCATION));
  at += 4;
  if (wide) {
    store<u32>(header + at, bswap<u32>(request.extents));
    at += 4;
  }
  return gather(header, at) && gather(extentsAt(request), bytes);
}

/** The data of a READ, in as many pieces as it lies in. */
function gatherData(request: Request): bool {
  let at = <u32>request.lead;
  const end = at + <u32>request.askedBytes;
  while (at < end) {
    const bytes = dataRun(request, at, end);
    if (!gather(dataAt, bytes)) return false;
    at += bytes;
  }
  return true;
}

/** Whether all data of a large READ is zero. Other data nearly always shows in the first bytes. */
function isHole(request: Request): bool {
  if (request.bytes < HOLE_BYTES_MIN || request.kept !== 0 || <u64>request.bytes !== request.askedBytes) return false;
  for (let at: u32 = 0; at < request.bytes; at += PIECE_BYTES_MAX) {
    const block = requestBlock(request, at / PIECE_BYTES_MAX);
    const bytes = min(request.bytes - at, PIECE_BYTES_MAX);
    for (let i: u32 = 0; i < bytes; i += 64) {
      const low = v128.or(v128.load(block + i), v128.load(block + i, 16));
      const high = v128.or(v128.load(block + i, 32), v128.load(block + i, 48));
      if (v128.any_true(v128.or(low, high))) return false;
    }
  }
  return true;
}
