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
import { listNext } from "../memory/lists";
import { COMMAND_KEPT, Command, METHOD_READ, METHOD_WRITE, Request } from "../memory/records";
import { Unit } from "../memory/topology";
import { dropKept } from "./data";
import { EXCLUSIVE_WANTED } from "./exclusive";
import { requestBlock } from "./pool";

const OF_REQUEST: usize = offsetof<Command>("nextOfRequest");

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
export function readsEdge(r: Request): bool {
  return r.leg === LEG_READ_HEAD || r.leg === LEG_READ_TAIL;
}

/** Whether an edge was read that is still to be written. */
export function edgesRead(r: Request): bool {
  return r.leg >= LEG_READ_TAIL && r.leg <= LEG_WRITE_TAIL;
}

/** Where byte `at` of the present leg's edge is read to. */
export function edgeAddress(r: Request, at: u32): u32 {
  return <u32>requestBlock(r, <u32>r.blockCount - 1) + r.base + at;
}

function firstByte(r: Request, block: u64): u64 {
  return r.askedOffset & ~(block - 1);
}

function endByte(r: Request, block: u64): u64 {
  return (r.askedOffset + r.askedBytes + block - 1) & ~(block - 1);
}

function hasHead(r: Request, block: u64): bool {
  return (r.askedOffset & (block - 1)) !== 0;
}

/** Whether the block at its end has to be read, and is not the same as the one at its beginning. */
function hasTail(r: Request, block: u64): bool {
  if (((r.askedOffset + r.askedBytes) & (block - 1)) === 0) return false;
  return !hasHead(r, block) || endByte(r, block) - firstByte(r, block) > block;
}

/** Bytes of the whole blocks that contain the requested range. */
export function spanBytes(u: Unit, offset: u64, bytes: u64): u64 {
  const block = <u64>u.blockBytes;
  return ((offset + bytes + block - 1) & ~(block - 1)) - (offset & ~(block - 1));
}

/** A write or zeroing that begins or ends within a block: its first leg. */
export function beginEdges(r: Request): void {
  const block = <u64>r.unit.blockBytes;
  r.exclusive = EXCLUSIVE_WANTED;
  if (hasHead(r, block)) readEdge(r, LEG_READ_HEAD, firstByte(r, block), 0);
  else readEdge(r, LEG_READ_TAIL, endByte(r, block) - block, BUFFER_PAGE_BYTES);
}

/** A zeroing or trim of whole blocks, from byte `from` to byte `end`: its next leg. */
export function beginSpan(r: Request, from: u64, end: u64): void {
  set(r, LEG_SPAN, r.whole, from, min(end - from, LEG_BYTES_MAX), 0);
}

function readEdge(r: Request, leg: u8, offset: u64, base: u32): void {
  set(r, leg, METHOD_READ, offset, <u64>r.unit.blockBytes, base);
}

function set(r: Request, leg: u8, method: u8, offset: u64, bytes: u64, base: u32): void {
  r.leg = leg;
  r.method = method;
  r.offset = offset;
  r.bytes = <u32>bytes;
  r.total = <u32>bytes;
  r.base = base;
}

/** All that it writes is to be rewritten, from data that is present by now: its first leg that writes. */
export function firstWrite(r: Request): void {
  const block = <u64>r.unit.blockBytes;
  const first = firstByte(r, block);
  const end = endByte(r, block);
  if (r.leg === LEG_PLAIN) set(r, LEG_PLAIN, r.whole, r.askedOffset, r.askedBytes, 0);
  else if (<u32>r.kind === OPERATION_WRITE) set(r, LEG_WRITE, METHOD_WRITE, first, end - first, 0);
  else if (hasHead(r, block)) set(r, LEG_WRITE_HEAD, METHOD_WRITE, first, block, 0);
  else if (hasTail(r, block)) set(r, LEG_WRITE_TAIL, METHOD_WRITE, end - block, block, BUFFER_PAGE_BYTES);
  else beginSpan(r, first, end);
}

/** The present leg is done: prepares the next one; false when there is none. */
export function nextLeg(r: Request): bool {
  const block = <u64>r.unit.blockBytes;
  const first = firstByte(r, block);
  const end = endByte(r, block);
  const leg = r.leg;
  if (readsEdge(r)) {
    completeEdge(r);
    if (leg === LEG_READ_HEAD && hasTail(r, block)) readEdge(r, LEG_READ_TAIL, end - block, BUFFER_PAGE_BYTES);
    else if (<u32>r.kind === OPERATION_WRITE) set(r, LEG_WRITE, METHOD_WRITE, first, end - first, 0);
    else if (hasHead(r, block)) set(r, LEG_WRITE_HEAD, METHOD_WRITE, first, block, 0);
    else set(r, LEG_WRITE_TAIL, METHOD_WRITE, end - block, block, BUFFER_PAGE_BYTES);
    return true;
  }
  if (leg === LEG_WRITE_HEAD && hasTail(r, block)) {
    set(r, LEG_WRITE_TAIL, METHOD_WRITE, end - block, block, BUFFER_PAGE_BYTES);
    return true;
  }
  if (leg === LEG_WRITE) return false;
  // What remains of a zeroing or trim: whole blocks only.
  const spanEnd = (r.askedOffset + r.askedBytes) & ~(block - 1);
  const from = leg === LEG_SPAN ? r.offset + <u64>r.bytes : (r.askedOffset + block - 1) & ~(block - 1);
  if (from >= spanEnd) return false;
  beginSpan(r, from, spanEnd);
  return true;
}

/** An edge was read: the part of it that is not the client's is put around the client's data. */
function completeEdge(r: Request): void {
  const block = <u64>r.unit.blockBytes;
  let from = <usize>edgeAddress(r, 0);
  for (let at = r.commandFirst; at !== 0;) {
    const c = changetype<Command>(at);
    at = listNext(at, OF_REQUEST);
    if (c.state === COMMAND_KEPT) from = <usize>c.ownBuffer;
  }
  const to = edgeTarget(r, block);
  const askedEnd = r.askedOffset + r.askedBytes;
  // The edge block covers offset..offset + block; the client's bytes in it are those of asked range.
  const before = r.askedOffset > r.offset ? <usize>(r.askedOffset - r.offset) : 0;
  const after = askedEnd < r.offset + block ? <usize>(r.offset + block - askedEnd) : 0;
  memory.copy(to, from, before);
  memory.copy(to + <usize>block - after, from + <usize>block - after, after);
  if (<u32>r.kind !== OPERATION_WRITE) memory.fill(to + before, 0, <usize>block - before - after);
  dropKept(r);
}

/** Where the block of the present edge is within the data to be written. */
function edgeTarget(r: Request, block: u64): usize {
  if (r.leg === LEG_READ_HEAD) return requestBlock(r, 0);
  if (<u32>r.kind !== OPERATION_WRITE) return requestBlock(r, 0) + <usize>BUFFER_PAGE_BYTES;
  const at = <u32>(r.offset - firstByte(r, block));
  return requestBlock(r, at / PIECE_BYTES_MAX) + (at & (PIECE_BYTES_MAX - 1));
}
