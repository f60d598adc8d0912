// What a request asks for, and what commands have to cover for it: whole blocks, a leg at a time.

import { OPERATION_STATUS } from "../memory/operations";
import { OPERATION_WRITE } from "../abi";
import { METHOD_READ, METHOD_STATUS, METHOD_SYNC, METHOD_UNMAP, METHOD_WRITE, Request } from "../memory/records";
import { Unit } from "../memory/topology";
import { ALLOCATION_BYTES } from "./allocation";
import { LEG_BYTES_MAX, beginEdges, beginSpan, spanBytes } from "./legs";

/** Bytes of buffers that a request of whole blocks takes for its data. */
export function dataBytes(unit: Unit, kind: u32, method: u8, bytes: u64): u32 {
  if (kind <= OPERATION_WRITE) return <u32>bytes;
  if (kind === OPERATION_STATUS) return ALLOCATION_BYTES;
  return method === METHOD_UNMAP ? unit.blockBytes : 0;
}

/** The operation, and how it is carried out. */
export function requestFill(request: Request, kind: u32, flags: u32, method: u8, cookie: u64): void {
  request.kind = <u16>kind;
  request.flags = <u16>flags;
  request.cookie = cookie;
  request.method = method;
  request.whole = method;
}

/** Which bytes. */
export function requestCover(unit: Unit, request: Request, offset: u64, bytes: u64): void {
  const method = request.method;
  request.askedOffset = offset;
  request.askedBytes = bytes;
  request.offset = offset;
  request.bytes = <u32>bytes;
  request.total = method === METHOD_SYNC || method === METHOD_STATUS ? 1 : <u32>bytes;
  if (((offset | bytes) & (<u64>unit.blockBytes - 1)) !== 0 || bytes > LEG_BYTES_MAX) layOut(unit, request);
}

/** What commands have to cover for a request that has edges, or more bytes than one leg can hold: whole blocks. */
function layOut(unit: Unit, request: Request): void {
  const block = <u64>unit.blockBytes;
  const method = request.method;
  if (method >= METHOD_SYNC && method !== METHOD_STATUS) return;
  if (request.askedBytes === 0) return;
  const offset = request.askedOffset & ~(block - 1);
  request.lead = <u16>(request.askedOffset - offset);
  if (method <= METHOD_WRITE || method === METHOD_STATUS) {
    request.offset = offset;
    request.bytes = <u32>spanBytes(unit, request.askedOffset, request.askedBytes);
    if (method === METHOD_READ) request.total = request.bytes;
  }
  const edges = ((request.askedOffset | request.askedBytes) & (block - 1)) !== 0;
  if (method === METHOD_READ || method === METHOD_STATUS) return;
  if (edges && method !== METHOD_UNMAP) beginEdges(request);
  else trim(request, block);
}

/** A long trim or zeroing: the whole blocks it covers. A trim is a hint, so its edges are left alone. */
function trim(request: Request, block: u64): void {
  const from = (request.askedOffset + block - 1) & ~(block - 1);
  const end = (request.askedOffset + request.askedBytes) & ~(block - 1);
  if (from < end) beginSpan(request, from, end);
  else request.total = 0;
}
