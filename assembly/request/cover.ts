// What a request asks for, and what commands have to cover for it: whole blocks, a leg at a time.

import { OPERATION_STATUS } from "../memory/operations";
import { OPERATION_WRITE } from "../abi";
import { METHOD_READ, METHOD_STATUS, METHOD_SYNC, METHOD_UNMAP, METHOD_WRITE, Request } from "../memory/records";
import { Unit } from "../memory/topology";
import { ALLOCATION_BYTES } from "./allocation";
import { LEG_BYTES_MAX, beginEdges, beginSpan, spanBytes } from "./legs";

/** Bytes of buffers that a request of whole blocks takes for its data. */
export function dataBytes(u: Unit, kind: u32, method: u8, bytes: u64): u32 {
  if (kind <= OPERATION_WRITE) return <u32>bytes;
  if (kind === OPERATION_STATUS) return ALLOCATION_BYTES;
  return method === METHOD_UNMAP ? u.blockBytes : 0;
}

/** The operation, and how it is carried out. */
export function requestFill(r: Request, kind: u32, flags: u32, method: u8, cookie: u64): void {
  r.kind = <u16>kind;
  r.flags = <u16>flags;
  r.cookie = cookie;
  r.method = method;
  r.whole = method;
}

/** Which bytes. */
export function requestCover(u: Unit, r: Request, offset: u64, bytes: u64): void {
  const method = r.method;
  r.askedOffset = offset;
  r.askedBytes = bytes;
  r.offset = offset;
  r.bytes = <u32>bytes;
  r.total = method === METHOD_SYNC || method === METHOD_STATUS ? 1 : <u32>bytes;
  if (((offset | bytes) & (<u64>u.blockBytes - 1)) !== 0 || bytes > LEG_BYTES_MAX) layOut(u, r);
}

/** What commands have to cover for a request that has edges, or more bytes than one leg can hold: whole blocks. */
function layOut(u: Unit, r: Request): void {
  const block = <u64>u.blockBytes;
  const method = r.method;
  if (method >= METHOD_SYNC && method !== METHOD_STATUS) return;
  if (r.askedBytes === 0) return;
  const offset = r.askedOffset & ~(block - 1);
  r.lead = <u16>(r.askedOffset - offset);
  if (method <= METHOD_WRITE || method === METHOD_STATUS) {
    r.offset = offset;
    r.bytes = <u32>spanBytes(u, r.askedOffset, r.askedBytes);
    if (method === METHOD_READ) r.total = r.bytes;
  }
  const edges = ((r.askedOffset | r.askedBytes) & (block - 1)) !== 0;
  if (method === METHOD_READ || method === METHOD_STATUS) return;
  if (edges && method !== METHOD_UNMAP) beginEdges(r);
  else trim(r, block);
}

/** A long trim or zeroing: the whole blocks it covers. A trim is a hint, so its edges are left alone. */
function trim(r: Request, block: u64): void {
  const from = (r.askedOffset + block - 1) & ~(block - 1);
  const end = (r.askedOffset + r.askedBytes) & ~(block - 1);
  if (from < end) beginSpan(r, from, end);
  else r.total = 0;
}
