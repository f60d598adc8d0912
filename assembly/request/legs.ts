// Requests that are carried out in several legs, one after the other, each like a request of its own: a range of whole blocks and
// a method.
//
// - A write or a zeroing by a client that did not ask for block sizes may begin or end within a block (NBD protocol, "Block size
//   constraints"). The blocks at its edges are read first, the client's data is completed with what it does not write, and whole
//   blocks are written. Nobody else may write there meanwhile: see exclusive.ts.
// - A zeroing or a trim with extended headers may cover more than 32 bits can count.
//
// Who owns what: edges are read into a block of their own, never into the one that is written from. A read that was sent again
// elsewhere may still be in flight when the write is sent, and must not change its data.

import { BUFFER_PAGE_BYTES, OPERATION_WRITE, PIECE_BYTES_MAX } from "../abi";
import { COMMAND_KEPT, METHOD_READ, METHOD_WRITE, Request } from "../memory/records";
import { Unit } from "../memory/topology";
import { dropKept } from "./data";
import { EXCLUSIVE_WANTED } from "./exclusive";
import { requestBlock } from "./pool";

/** It has only one leg. */
export const LEG_PLAIN: u8 = 0;
/** The block at its beginning, or its end, is read. */
const LEG_READ_HEAD: u8 = 1;
const LEG_READ_TAIL: u8 = 2;
/** Of a write: all of it is written. */
const LEG_WRITE: u8 = 3;
/** Of a zeroing: the block at its beginning, or its end, is written. */
const LEG_WRITE_HEAD: u8 = 4;
const LEG_WRITE_TAIL: u8 = 5;
/** Of a zeroing or a trim: whole blocks, LEG_BYTES_MAX at most. */
const LEG_SPAN: u8 = 6;

/** Bytes that two edges take: each begins a page, as buffers of commands do. */
export const EDGES_BYTES: u32 = 2 * BUFFER_PAGE_BYTES;
/** Most bytes of one leg: a multiple of every block size, and countable in 32 bits. */
export const LEG_BYTES_MAX: u64 = 0xfffff000;

/** Whether the present leg reads an edge. */
export function readsEdge(request: Request): bool {
  return request.leg === LEG_READ_HEAD || request.leg === LEG_READ_TAIL;
}

/** Whether an edge was read that is still to be written. */
export function edgesRead(request: Request): bool {
  return request.leg >= LEG_READ_TAIL && request.leg <= LEG_WRITE_TAIL;
}

/** Where byte `at` of the present leg's edge is read to. */
export function edgeAddress(request: Request, at: u32): u32 {
  return <u32>requestBlock(request, <u32>request.blockCount - 1) + request.base + at;
}

function firstByte(request: Request, block: u64): u64 {
  return request.askedOffset & ~(block - 1);
}

function endByte(request: Request, block: u64): u64 {
  return (request.askedOffset + request.askedBytes + block - 1) & ~(block - 1);
}

function hasHead(request: Request, block: u64): bool {
  return (request.askedOffset & (block - 1)) !== 0;
}

/** Whether the block at its end has to be read, and is not the same as the one at its beginning. */
function hasTail(request: Request, block: u64): bool {
  if (((request.askedOffset + request.askedBytes) & (block - 1)) === 0) return false;
  return !hasHead(request, block) || endByte(request, block) - firstByte(request, block) > block;
}

/** Bytes of the whole blocks that contain the requested range. */
export function spanBytes(unit: Unit, offset: u64, bytes: u64): u64 {
  const block = <u64>unit.blockBytes;
  return ((offset + bytes + block - 1) & ~(block - 1)) - (offset & ~(block - 1));
}

/** A write or zeroing that begins or ends within a block: its first leg. */
export function beginEdges(request: Request): void {
  const block = <u64>request.unit.blockBytes;
  request.exclusive = EXCLUSIVE_WANTED;
  if (hasHead(request, block)) readEdge(request, LEG_READ_HEAD, firstByte(request, block), 0);
  else readEdge(request, LEG_READ_TAIL, endByte(request, block) - block, BUFFER_PAGE_BYTES);
}

/** A zeroing or trim of whole blocks, from byte `from` to byte `end`: its next leg. */
export function beginSpan(request: Request, from: u64, end: u64): void {
  set(request, LEG_SPAN, request.whole, from, min(end - from, LEG_BYTES_MAX), 0);
}

function readEdge(request: Request, leg: u8, offset: u64, base: u32): void {
  set(request, leg, METHOD_READ, offset, <u64>request.unit.blockBytes, base);
}

function set(request: Request, leg: u8, method: u8, offset: u64, bytes: u64, base: u32): void {
  request.leg = leg;
  request.method = method;
  request.offset = offset;
  request.bytes = <u32>bytes;
  request.total = <u32>bytes;
  request.base = base;
}

/** All that it writes is to be rewritten, from data that is present by now: its first leg that writes. */
export function firstWrite(request: Request): void {
  const block = <u64>request.unit.blockBytes;
  const first = firstByte(request, block);
  const end = endByte(request, block);
  if (request.leg === LEG_PLAIN) set(request, LEG_PLAIN, request.whole, request.askedOffset, request.askedBytes, 0);
  else if (<u32>request.kind === OPERATION_WRITE) set(request, LEG_WRITE, METHOD_WRITE, first, end - first, 0);
  else if (hasHead(request, block)) set(request, LEG_WRITE_HEAD, METHOD_WRITE, first, block, 0);
  else if (hasTail(request, block)) set(request, LEG_WRITE_TAIL, METHOD_WRITE, end - block, block, BUFFER_PAGE_BYTES);
  else beginSpan(request, first, end);
}

/** The present leg is done: prepares the next one; false when there is none. */
export function nextLeg(request: Request): bool {
  const block = <u64>request.unit.blockBytes;
  const first = firstByte(request, block);
  const end = endByte(request, block);
  const leg = request.leg;
  if (readsEdge(request)) {
    completeEdge(request);
    if (leg === LEG_READ_HEAD && hasTail(request, block))
      readEdge(request, LEG_READ_TAIL, end - block, BUFFER_PAGE_BYTES);
    else if (<u32>request.kind === OPERATION_WRITE) set(request, LEG_WRITE, METHOD_WRITE, first, end - first, 0);
    else if (hasHead(request, block)) set(request, LEG_WRITE_HEAD, METHOD_WRITE, first, block, 0);
    else set(request, LEG_WRITE_TAIL, METHOD_WRITE, end - block, block, BUFFER_PAGE_BYTES);
    return true;
  }
  if (leg === LEG_WRITE_HEAD && hasTail(request, block)) {
    set(request, LEG_WRITE_TAIL, METHOD_WRITE, end - block, block, BUFFER_PAGE_BYTES);
    return true;
  }
  if (leg === LEG_WRITE) return false;
  // What remains of a zeroing or trim: whole blocks only.
  const spanEnd = (request.askedOffset + request.askedBytes) & ~(block - 1);
  const from =
    leg === LEG_SPAN ? request.offset + <u64>request.bytes : (request.askedOffset + block - 1) & ~(block - 1);
  if (from >= spanEnd) return false;
  beginSpan(request, from, spanEnd);
  return true;
}

/** An edge was read: the part of it that is not the client's is put around the client's data. */
function completeEdge(request: Request): void {
  const block = <u64>request.unit.blockBytes;
  let from = <usize>edgeAddress(request, 0);
  for (let next = request.commands.first; changetype<usize>(next) !== 0;) {
    const command = next;
    next = command.nextOfRequest;
    if (command.state === COMMAND_KEPT) from = <usize>command.ownBuffer;
  }
  const to = edgeTarget(request, block);
  const askedEnd = request.askedOffset + request.askedBytes;
  // The edge block covers offset..offset + block; the client's bytes in it are those of asked range.
  const before = request.askedOffset > request.offset ? <usize>(request.askedOffset - request.offset) : 0;
  const after = askedEnd < request.offset + block ? <usize>(request.offset + block - askedEnd) : 0;
  memory.copy(to, from, before);
  memory.copy(to + <usize>block - after, from + <usize>block - after, after);
  if (<u32>request.kind !== OPERATION_WRITE) memory.fill(to + before, 0, <usize>block - before - after);
  dropKept(request);
}

/** Where the block of the present edge is within the data to be written. */
function edgeTarget(request: Request, block: u64): usize {
  if (request.leg === LEG_READ_HEAD) return requestBlock(request, 0);
  if (<u32>request.kind !== OPERATION_WRITE) return requestBlock(request, 0) + <usize>BUFFER_PAGE_BYTES;
  const at = <u32>(request.offset - firstByte(request, block));
  return requestBlock(request, at / PIECE_BYTES_MAX) + (at & (PIECE_BYTES_MAX - 1));
}
