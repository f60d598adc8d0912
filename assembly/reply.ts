// Replies in NBD's transmission phase (NBD protocol, "Simple reply message" and "Structured reply chunk message"),
// gathered for one SEND: headers from the request slots, data from the requests' buffers. All fields are big-endian.

import {
  CONNECTION_STRUCTURED,
  GATHER_ADDRESS,
  GATHER_BYTES,
  GATHER_ENTRIES_MAX,
  GATHER_LENGTH,
  PIECE_BYTES_MAX,
} from "./abi";
import { listNext, listPush, listRemove } from "./lists";
import { COMMAND_KEPT, Command, Connection, REQUEST_HEADER, REQUEST_SENDING, Request } from "./records";
import { requestBlock } from "./request";

const SIMPLE_MAGIC: u32 = 0x67446698;
const STRUCTURED_MAGIC: u32 = 0x668e33ef;
const CHUNK_DONE: u16 = 1;
const CHUNK_NONE: u16 = 0;
const CHUNK_OFFSET_DATA: u16 = 1;
const CHUNK_OFFSET_HOLE: u16 = 2;
const CHUNK_ERROR: u16 = 0x8001;
const COMMAND_READ: u16 = 0;
/** Reads from this size on are looked through for zeroes; below it the look costs more than the bytes. */
const HOLE_BYTES_MIN: u32 = 32768;

const LINK: usize = offsetof<Request>("next");
const READY: usize = offsetof<Connection>("readyFirst");
const SENDING: usize = offsetof<Connection>("sendingFirst");
const SIBLING: usize = offsetof<Command>("siblingNext");

let entry: usize = 0;
let entryEnd: usize = 0;
let sendBytes: u32 = 0;

/** Fills the connection's gather table with as many ready replies as fit; answers the number of entries. */
export function gatherReplies(n: Connection): u32 {
  const ready = changetype<usize>(n) + READY;
  entry = n.gather;
  entryEnd = n.gather + <usize>GATHER_ENTRIES_MAX * GATHER_BYTES;
  sendBytes = 0;
  while (n.readyFirst !== 0) {
    const r = changetype<Request>(n.readyFirst);
    const before = entry;
    if (!gatherReply(n, r)) {
      entry = before;
      assert(before !== n.gather);
      break;
    }
    listRemove(ready, changetype<usize>(r), LINK);
    r.state = REQUEST_SENDING;
    listPush(changetype<usize>(n) + SENDING, changetype<usize>(r), LINK);
  }
  n.sendBytes = sendBytes;
  return <u32>((entry - n.gather) / GATHER_BYTES);
}

function gather(address: usize, bytes: u32): bool {
  if (entry === entryEnd) return false;
  store<u32>(entry + GATHER_ADDRESS, <u32>address);
  store<u32>(entry + GATHER_LENGTH, bytes);
  entry += GATHER_BYTES;
  sendBytes += bytes;
  return true;
}

/** Adds one reply; false when the table has no room for it (then nothing of it counts). */
function gatherReply(n: Connection, r: Request): bool {
  const header = changetype<usize>(r) + REQUEST_HEADER;
  const bytesBefore = sendBytes;
  let fits: bool;
  if (r.kind !== COMMAND_READ || (n.flags & CONNECTION_STRUCTURED) === 0) {
    store<u32>(header, bswap<u32>(SIMPLE_MAGIC));
    store<u32>(header, bswap<u32>(r.error), 4);
    store<u64>(header, r.cookie, 8);
    fits = gather(header, 16) && (r.kind !== COMMAND_READ || r.error !== 0 || gatherData(r));
  } else fits = gatherChunk(r, header);
  if (!fits) sendBytes = bytesBefore;
  return fits;
}

function chunkHeader(r: Request, header: usize, type: u16, bytes: u32): void {
  store<u32>(header, bswap<u32>(STRUCTURED_MAGIC));
  store<u16>(header, bswap<u16>(CHUNK_DONE), 4);
  store<u16>(header, bswap<u16>(type), 6);
  store<u64>(header, r.cookie, 8);
  store<u32>(header, bswap<u32>(bytes), 16);
}

/** A READ's structured reply is one chunk, the last of its kind: data, a hole, or an error. So DF costs nothing. */
function gatherChunk(r: Request, header: usize): bool {
  if (r.error !== 0) {
    chunkHeader(r, header, CHUNK_ERROR, 6);
    store<u32>(header, bswap<u32>(r.error), 20);
    store<u16>(header, 0, 24);
    return gather(header, 26);
  }
  if (r.bytes === 0) {
    chunkHeader(r, header, CHUNK_NONE, 0);
    return gather(header, 20);
  }
  store<u64>(header, bswap<u64>(r.offset), 20);
  if (isHole(r)) {
    chunkHeader(r, header, CHUNK_OFFSET_HOLE, 12);
    store<u32>(header, bswap<u32>(r.bytes), 28);
    return gather(header, 32);
  }
  chunkHeader(r, header, CHUNK_OFFSET_DATA, 8 + r.bytes);
  return gather(header, 28) && gatherData(r);
}

/** The data of a READ: its blocks, except where a piece came by a buffer of its own. */
function gatherData(r: Request): bool {
  let at: u32 = 0;
  while (at < r.bytes) {
    const kept = r.kept === 0 ? changetype<Command>(0) : keptFrom(r, at);
    if (changetype<usize>(kept) !== 0 && kept.pieceOffset === at) {
      if (!gather(<usize>kept.ownBuffer, kept.pieceBytes)) return false;
      at += kept.pieceBytes;
      continue;
    }
    let bytes = min(r.bytes - at, PIECE_BYTES_MAX - (at & (PIECE_BYTES_MAX - 1)));
    if (changetype<usize>(kept) !== 0) bytes = min(bytes, kept.pieceOffset - at);
    if (!gather(requestBlock(r, at / PIECE_BYTES_MAX) + (at & (PIECE_BYTES_MAX - 1)), bytes)) return false;
    at += bytes;
  }
  return true;
}

/** The first kept piece at or behind `from`; null when there is none. */
function keptFrom(r: Request, from: u32): Command {
  let best = changetype<Command>(0);
  for (let at = r.commandFirst; at !== 0; at = listNext(at, SIBLING)) {
    const c = changetype<Command>(at);
    if (c.state !== COMMAND_KEPT || c.pieceOffset < from) continue;
    if (changetype<usize>(best) === 0 || c.pieceOffset < best.pieceOffset) best = c;
  }
  return best;
}

/** Whether everything a large READ brought is zero. Data that is not shows it in the first bytes, nearly always. */
function isHole(r: Request): bool {
  if (r.bytes < HOLE_BYTES_MIN || r.kept !== 0) return false;
  for (let at: u32 = 0; at < r.bytes; at += PIECE_BYTES_MAX) {
    const block = requestBlock(r, at / PIECE_BYTES_MAX);
    const bytes = min(r.bytes - at, PIECE_BYTES_MAX);
    for (let i: u32 = 0; i < bytes; i += 64) {
      const low = v128.or(v128.load(block + i), v128.load(block + i, 16));
      const high = v128.or(v128.load(block + i, 32), v128.load(block + i, 48));
      if (v128.any_true(v128.or(low, high))) return false;
    }
  }
  return true;
}
