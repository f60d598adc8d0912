// Request slots and the buffers of their data: taken together or not at all, so two requests never wait for each other; returned
// when nothing refers to the request any more.

import { PIECE_BYTES_MAX } from "../abi";
import { bufferBlockBytes, bufferGive, bufferTake, buffersFree } from "../memory/buffers";
import { answerReady } from "../memory/due";
import { List } from "../memory/lists";
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

const free = changetype<List<Request>>(memory.data(8, 8));
let freeCount: u32 = 0;

export function requestsInit(): void {
  for (let i: u32 = 0; i < requestCount; i++) {
    const request = changetype<Request>(requests + <usize>i * REQUEST_SLOT_BYTES);
    request.index = i;
  }
  listAll(changetype<usize>(free), requests, requestCount, REQUEST_SLOT_BYTES, LINK);
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
export function requestTake(unit: Unit, client: Client, bytes: u32, edgeBytes: u32 = 0): Request | null {
  const wanted = poolBytesFor(bytes) + poolBytesFor(edgeBytes);
  if (freeCount === 0 || buffersFree() < wanted) return null;
  const request = free.first;
  request.blockCount = 0;
  for (let rest = bytes; rest !== 0;) {
    const part = min(rest, PIECE_BYTES_MAX);
    if (!requestAddBlock(request, part)) {
      giveBlocks(request);
      return null;
    }
    rest -= part;
  }
  if (edgeBytes !== 0 && !requestAddBlock(request, edgeBytes)) {
    giveBlocks(request);
    return null;
  }
  free.remove(request);
  freeCount--;
  request.state = REQUEST_RECEIVING;
  request.client = client;
  request.unit = unit;
  request.error = 0;
  request.sense = 0;
  request.syncAfter = 0;
  request.forcedAgain = 0;
  request.own = OWN_NOT;
  request.cut = 0;
  request.pieces = 0;
  request.kept = 0;
  // No lead, LEG_PLAIN, EXCLUSIVE_NOT, base 0: at once, as nearly all are like this.
  store<u64>(changetype<usize>(request) + LAYOUT, 0);
  request.bufferBytes = wanted;
  unit.slotsHeld++;
  unit.bytesHeld += wanted;
  client.requests++;
  client.bytesHeld += wanted;
  taken();
  return request;
}

/** One more buffer; false when there is none. */
function requestAddBlock(request: Request, bytes: u32): bool {
  if (<u32>request.blockCount === REQUEST_BLOCKS_MAX) return false;
  const address = bufferTake(bytes);
  if (address === 0) return false;
  store<u32>(changetype<usize>(request) + REQUEST_BLOCKS + <usize>request.blockCount * 4, <u32>address);
  request.blockCount++;
  return true;
}

/** Address of block `index` of its data. */
export function requestBlock(request: Request, index: u32): usize {
  assert(index < <u32>request.blockCount);
  return <usize>load<u32>(changetype<usize>(request) + REQUEST_BLOCKS + <usize>index * 4);
}

/** Nothing touches its client's buffer any more: the client is told, once, and then the request is freed (`requestTold`). */
function bufferBack(request: Request): void {
  if (request.own === OWN_BACK) return;
  request.own = OWN_BACK;
  answerReady(request);
}

/** Its client knows that its buffer is free. */
export function requestTold(request: Request): void {
  assert(request.own === OWN_BACK);
  request.own = OWN_YES;
  requestFreeIfOver(request);
}

/** Its data is at `address`, in its client's memory: at most one piece. */
export function requestOwnBuffer(request: Request, address: u32): void {
  assert(request.blockCount === 0);
  store<u32>(changetype<usize>(request) + REQUEST_BLOCKS, address);
  request.blockCount = 1;
  request.own = OWN_YES;
}

function giveBlocks(request: Request): void {
  const count = request.own === OWN_NOT ? <u32>request.blockCount : 0;
  for (let i: u32 = 0; i < count; i++) bufferGive(requestBlock(request, i));
  request.blockCount = 0;
}

/** Its answer has left, or nobody wants it. The caller has removed it from its lists, and frees it (`requestFreeIfOver`). */
export function requestLeft(request: Request): void {
  const client = request.client;
  request.state = REQUEST_OVER;
  client.requests--;
  client.bytesHeld -= request.bufferBytes;
  ownRoomFreed(client);
}

/** Frees it when nothing refers to it any more; a client that waits for its own buffer is told first. */
export function requestFreeIfOver(request: Request): void {
  if (request.state !== REQUEST_OVER || request.commandFirst !== 0) return;
  if (request.own >= OWN_HELD) return bufferBack(request);
  const unit = request.unit;
  giveBlocks(request);
  unit.slotsHeld--;
  unit.bytesHeld -= request.bufferBytes;
  request.state = REQUEST_FREE;
  free.push(request);
  freeCount++;
  roomFreed(unit);
}
