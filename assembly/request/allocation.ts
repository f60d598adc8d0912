// BLOCK_STATUS of the metadata context base:allocation (NBD protocol, "Metadata contexts"): which blocks are data and which are
// holes that read as zeroes. The device reports this by GET LBA STATUS (SBC-4 5.9), if it can; otherwise everything is data,
// which is never wrong.
//
// A request has ALLOCATION_BYTES: the device's parameter data is read into the first half, and the extents are made from it in
// the second half as soon as it has arrived. A command that was sent again elsewhere brings a buffer of its own and may end at
// any time.
//
// Nothing that a device reports is trusted: descriptors that do not follow each other end the list, and no extent reaches beyond
// the requested range.

import { FLAG_ONE_EXTENT, FLAG_WIDE_EXTENTS } from "../memory/operations";
import { Command, Request } from "../memory/records";
import { LBA_STATUS_BYTES } from "../scsi/cdb";
import { requestBlock } from "./pool";

/** Bytes that a BLOCK_STATUS takes. */
export const ALLOCATION_BYTES: u32 = 8192;
/** The number by which replies name base:allocation; the negotiation tells it to the client. */
export const CONTEXT_ALLOCATION: u32 = 1;

const STATE_HOLE: u32 = 1;
const STATE_ZERO: u32 = 2;

/** Bytes of the header of the parameter data, and of a descriptor. */
const HEADER_BYTES: u32 = 8;
const DESCRIPTOR_BYTES: u32 = 16;
const STATUS_DEALLOCATED: u8 = 1;
const STATUS_ANCHORED: u8 = 2;
/** Longest extent where lengths have 32 bits: a multiple of every block size. */
const LENGTH_MAX: u64 = 0xfffff000;

/** Where the extents are. */
export function extentsAt(request: Request): usize {
  return requestBlock(request, 0) + <usize>LBA_STATUS_BYTES;
}

/** Bytes of one extent in the reply. */
export function extentBytes(request: Request): u32 {
  return ((<u32>request.flags) & FLAG_WIDE_EXTENTS) !== 0 ? 16 : 8;
}

/** Makes extents from the device's report. */
export function extents(command: Command): void {
  const request = command.request;
  const shift = request.unit.blockShift;
  const data = <usize>command.buffer;
  const there = LBA_STATUS_BYTES - <u32>min(max(command.residual, 0), <i32>LBA_STATUS_BYTES);
  const stated: u32 = there < HEADER_BYTES ? 0 : bswap<u32>(load<u32>(data));
  const end = min(there, stated > LBA_STATUS_BYTES ? LBA_STATUS_BYTES : stated + 4);
  const askedEnd = request.askedOffset + request.askedBytes;
  let expected = command.lba;
  let from = request.askedOffset;
  request.extents = 0;
  for (let at = HEADER_BYTES; at + DESCRIPTOR_BYTES <= end && from < askedEnd; at += DESCRIPTOR_BYTES) {
    const lba = bswap<u64>(load<u64>(data + at));
    const next = lba + <u64>bswap<u32>(load<u32>(data + at, 8));
    // The first one may begin before the requested range; any other gap or overlap is nonsense.
    if (lba > expected || next <= expected || next > request.unit.blocks || (request.extents !== 0 && lba !== expected))
      break;
    const until = min(next << shift, askedEnd);
    const state = stateOf(load<u8>(data + at, 12) & 15);
    if (!add(request, until - from, state)) break;
    expected = next;
    from = until;
  }
  if (request.extents === 0) allocated(request);
}

/** Mapped blocks are data; so are blocks whose state is unknown. */
function stateOf(status: u8): u32 {
  if (status === STATUS_DEALLOCATED) return STATE_HOLE | STATE_ZERO;
  return status === STATUS_ANCHORED ? STATE_ZERO : 0;
}

/** All that was asked for is data. */
export function allocated(request: Request): void {
  request.extents = 0;
  add(request, request.askedBytes, 0);
}

/** Adds an extent, or extends the last one; false when no further one may follow. */
function add(request: Request, bytes: u64, state: u32): bool {
  const wide = extentBytes(request) === 16;
  const last = extentsAt(request) + <usize>((request.extents - 1) * extentBytes(request));
  if (request.extents !== 0 && stateAt(last, wide) === state) {
    const whole = lengthAt(last, wide) + bytes;
    put(last, wide, whole, state);
    return wide || whole <= LENGTH_MAX;
  }
  if (request.extents !== 0 && ((<u32>request.flags) & FLAG_ONE_EXTENT) !== 0) return false;
  put(extentsAt(request) + <usize>(request.extents * extentBytes(request)), wide, bytes, state);
  request.extents++;
  return wide || bytes <= LENGTH_MAX;
}

function put(at: usize, wide: bool, bytes: u64, state: u32): void {
  if (wide) {
    store<u64>(at, bswap<u64>(bytes));
    store<u64>(at, bswap<u64>(<u64>state), 8);
  } else {
    store<u32>(at, bswap<u32>(<u32>min(bytes, LENGTH_MAX)));
    store<u32>(at, bswap<u32>(state), 4);
  }
}

function lengthAt(at: usize, wide: bool): u64 {
  return wide ? bswap<u64>(load<u64>(at)) : <u64>bswap<u32>(load<u32>(at));
}

function stateAt(at: usize, wide: bool): u32 {
  return wide ? <u32>bswap<u64>(load<u64>(at, 8)) : bswap<u32>(load<u32>(at, 4));
}
