// Whether a request may begin, as far as orphans (orphan.ts) and exclusive requests (exclusive.ts) are concerned.

import { OPERATION_TRIM, OPERATION_WRITE, OPERATION_WRITE_ZEROES } from "../abi";
import { EIO } from "../memory/errno";
import { Request } from "../memory/records";
import { Unit } from "../memory/topology";
import { listsOf } from "../memory/unit-lists";
import { EXCLUSIVE_NOT } from "./exclusive";
import { requestOverlapsOrphan } from "./orphan";
import { edgesRead } from "./legs";
import { requestFail } from "./request";

/** It has begun: nobody else changes what it covers. */
const EXCLUSIVE_HAS: u8 = 2;

/** Whether nothing of `request` may be sent now. It may have failed then (see its state). */
export function mustWait(unit: Unit, request: Request): bool {
  if (unit.harmful !== 0 && requestOverlapsOrphan(unit, request)) {
    // An earlier daemon's commands were found in the meantime: what it has read may be outdated.
    if (unit.leftovers !== 0 && request.exclusive === EXCLUSIVE_HAS && edgesRead(request)) requestFail(request, EIO);
    return true;
  }
  return unit.exclusives !== 0 && !mayBegin(unit, request);
}

function changes(request: Request): bool {
  const kind = <u32>request.kind;
  return kind === OPERATION_WRITE || kind === OPERATION_TRIM || kind === OPERATION_WRITE_ZEROES;
}

function begun(request: Request): bool {
  return request.cut !== 0 || request.commandFirst !== 0 || request.exclusive === EXCLUSIVE_HAS;
}

function overlap(one: Request, other: Request, block: u64): bool {
  const mask = ~(block - 1);
  const oneFirst = one.askedOffset & mask;
  const otherFirst = other.askedOffset & mask;
  const oneEnd = (one.askedOffset + one.askedBytes + block - 1) & mask;
  const otherEnd = (other.askedOffset + other.askedBytes + block - 1) & mask;
  return oneFirst < otherEnd && otherFirst < oneEnd;
}

/** Whether `request` need not wait for a request with edges, or, being one, for any other. */
function mayBegin(unit: Unit, request: Request): bool {
  if (!changes(request) || begun(request)) return true;
  const block = <u64>unit.blockBytes;
  let earlier = true;
  for (let next = listsOf(unit).requests.first; changetype<usize>(next) !== 0;) {
    const other = next;
    next = other.unitNext;
    if (other === request) {
      earlier = false;
      continue;
    }
    if ((request.exclusive | other.exclusive) === 0 || !changes(other) || !overlap(request, other, block)) continue;
    if (begun(other) || (earlier && other.exclusive !== EXCLUSIVE_NOT)) return false;
  }
  if (request.exclusive !== EXCLUSIVE_NOT) request.exclusive = EXCLUSIVE_HAS;
  return true;
}
