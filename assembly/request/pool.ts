// Request slots and the buffers of their data: taken together or not at all, so two requests never wait for each other; returned
// when nothing refers to the request any more.

import { PIECE_BYTES_MAX } from "../abi";
import { bufferBlockBytes, bufferGive, bufferTake, buffersFree } from "../memory/buffers";
import { listFirst, listPush, listRemove } from "../memory/lists";
import { answerReady } from "../memory/due";
import { listAll, requestCount, requests } from "../memory/memory";
import {
  Client,
  OWN_BACK,
  OWN_HELD,
  OWN_NOT,
  OWN_YES,
  REQUEST_BLOCKS,
  REQUEST_BLOCKS_MAX,
  REQUEST_FREE,
  REQUEST_OVER,
  REQUEST_RECEIVING,
  REQUEST_SLOT_BYTES,
  Request,
} from "../memory/records";
import { Unit } from "../memory/topology";
import { ownRoomFreed, roomFreed, taken } from "./room";

const LINK: usize = offsetof<Request>("next");
const LAYOUT: usize = offsetof<Request>("lead");

const free: usize = memory.data(8, 8);
let freeCount: u32 = 0;

export function requestsInit(): void {
  for (let i: u32 = 0; i < requestCount; i++) {
    const r = changetype<Request>(requests + <usize>i * REQUEST_SLOT_BYTES);
    r.index = i;
  }
  listAll(free, requests, requestCount, REQUEST_SLOT_BYTES, LINK);
  freeCount = requestCount;
}

/** Free request slots. */
export function requestsFree(): u32 {
  return freeCount;
}

/** Bytes of the pool that `bytes` of data take: whole MiB blocks and the next larger block for the rest. */
export function poolBytesFor(bytes: u32): u32 {
  const rest = bytes & (PIECE_BYTES_MAX - 1);
  return bytes - rest + (rest === 0 ? 0 : bufferBlockBytes(rest));
}

/**
 * Takes a slot and buffers for `bytes` of data (0: none), and one more block for edges that are read; null when any of that is
 * not available.
 */
export function requestTake(u: Unit, n: Client, bytes: u32, edgeBytes: u32 = 0): Request | null {
  const wanted = poolBytesFor(bytes) + poolBytesFor(edgeBytes);
  if (freeCount === 0 || buffersFree() < wanted) return null;
  const r = changetype<Request>(listFirst(free));
  r.blockCount = 0;
  for (let rest = bytes; rest !== 0;) {
    const part = min(rest, PIECE_BYTES_MAX);
    if (!requestAddBlock(r, part)) {
      giveBlocks(r);
      return null;
    }
    rest -= part;
  }
  if (edgeBytes !== 0 && !requestAddBlock(r, edgeBytes)) {
    giveBlocks(r);
    return null;
  }
  listRemove(free, changetype<usize>(r), LINK);
  freeCount--;
  r.state = REQUEST_RECEIVING;
  r.client = n;
  r.unit = u;
  r.error = 0;
  r.syncAfter = 0;
  r.forcedAgain = 0;
  r.own = OWN_NOT;
  r.cut = 0;
  r.pieces = 0;
  r.kept = 0;
  r.heldNs = 0;
  // No lead, LEG_PLAIN, EXCLUSIVE_NOT, base 0: at once, as nearly all are like this.
  store<u64>(changetype<usize>(r) + LAYOUT, 0);
  r.bufferBytes = wanted;
  u.slotsHeld++;
  u.bytesHeld += wanted;
  n.requests++;
  n.bytesHeld += wanted;
  taken();
  return r;
}

/** One more buffer; false when there is none. */
function requestAddBlock(r: Request, bytes: u32): bool {
  if (<u32>r.blockCount === REQUEST_BLOCKS_MAX) return false;
  const address = bufferTake(bytes);
  if (address === 0) return false;
  store<u32>(changetype<usize>(r) + REQUEST_BLOCKS + <usize>r.blockCount * 4, <u32>address);
  r.blockCount++;
  return true;
}

/** Address of block `index` of its data. */
export function requestBlock(r: Request, index: u32): usize {
  assert(index < <u32>r.blockCount);
  return <usize>load<u32>(changetype<usize>(r) + REQUEST_BLOCKS + <usize>index * 4);
}

/** Nothing touches its client's buffer any more: the client is told, once, and then the request is freed (`requestTold`). */
function bufferBack(r: Request): void {
  if (r.own === OWN_BACK) return;
  r.own = OWN_BACK;
  answerReady(r);
}

/** Its client knows that its buffer is free. */
export function requestTold(r: Request): void {
  assert(r.own === OWN_BACK);
  r.own = OWN_YES;
  requestFreeIfOver(r);
}

/** Its data is at `address`, in its client's memory: at most one piece. */
export function requestOwnBuffer(r: Request, address: u32): void {
  assert(r.blockCount === 0);
  store<u32>(changetype<usize>(r) + REQUEST_BLOCKS, address);
  r.blockCount = 1;
  r.own = OWN_YES;
}

function giveBlocks(r: Request): void {
  const count = r.own === OWN_NOT ? <u32>r.blockCount : 0;
  for (let i: u32 = 0; i < count; i++) bufferGive(requestBlock(r, i));
  r.blockCount = 0;
}

/** Its answer has left, or nobody wants it. The caller has removed it from its lists, and frees it (`requestFreeIfOver`). */
export function requestLeft(r: Request): void {
  const n = r.client;
  r.state = REQUEST_OVER;
  n.requests--;
  n.bytesHeld -= r.bufferBytes;
  ownRoomFreed(n);
}

/** Frees it when nothing refers to it any more; a client that waits for its own buffer is told first. */
export function requestFreeIfOver(r: Request): void {
  if (r.state !== REQUEST_OVER || r.commandFirst !== 0) return;
  if (r.own >= OWN_HELD) return bufferBack(r);
  const u = r.unit;
  giveBlocks(r);
  u.slotsHeld--;
  u.bytesHeld -= r.bufferBytes;
  r.state = REQUEST_FREE;
  listPush(free, changetype<usize>(r), LINK);
  freeCount++;
  roomFreed(u);
}
