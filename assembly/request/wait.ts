// Whether a request may begin, as far as orphans (orphan.ts) and exclusive requests (exclusive.ts) are concerned.

import { OPERATION_TRIM, OPERATION_WRITE, OPERATION_WRITE_ZEROES } from "../abi";
import { EIO } from "../memory/errno";
import { Request } from "../memory/records";
import { Unit } from "../memory/topology";
import { EXCLUSIVE_NOT } from "./exclusive";
import { requestOverlapsOrphan } from "./orphan";
import { edgesRead } from "./legs";
import { requestFail } from "./request";

/** It has begun: nobody else changes what it covers. */
const EXCLUSIVE_HAS: u8 = 2;

/** Whether nothing of `r` may be sent now. It may have failed then (see its state). */
export function mustWait(u: Unit, r: Request): bool {
  if (u.harmful !== 0 && requestOverlapsOrphan(u, r)) {
    // An earlier daemon's commands were found in the meantime: what it has read may be outdated.
    if (u.leftovers !== 0 && r.exclusive === EXCLUSIVE_HAS && edgesRead(r)) requestFail(r, EIO);
    return true;
  }
  return u.exclusives !== 0 && !mayBegin(u, r);
}

function changes(r: Request): bool {
  const kind = <u32>r.kind;
  return kind === OPERATION_WRITE || kind === OPERATION_TRIM || kind === OPERATION_WRITE_ZEROES;
}

function begun(r: Request): bool {
  return r.cut !== 0 || r.commandFirst !== 0 || r.exclusive === EXCLUSIVE_HAS;
}

function overlap(a: Request, b: Request, block: u64): bool {
  const mask = ~(block - 1);
  const aFirst = a.askedOffset & mask;
  const bFirst = b.askedOffset & mask;
  const aEnd = (a.askedOffset + a.askedBytes + block - 1) & mask;
  const bEnd = (b.askedOffset + b.askedBytes + block - 1) & mask;
  return aFirst < bEnd && bFirst < aEnd;
}

/** Whether `r` need not wait for a request with edges, or, being one, for any other. */
function mayBegin(u: Unit, r: Request): bool {
  if (!changes(r) || begun(r)) return true;
  const block = <u64>u.blockBytes;
  let earlier = true;
  for (let at = u.requestFirst; at !== 0;) {
    const other = changetype<Request>(at);
    at = other.unitNext;
    if (other === r) {
      earlier = false;
      continue;
    }
    if ((r.exclusive | other.exclusive) === 0 || !changes(other) || !overlap(r, other, block)) continue;
    if (begun(other) || (earlier && other.exclusive !== EXCLUSIVE_NOT)) return false;
  }
  if (r.exclusive !== EXCLUSIVE_NOT) r.exclusive = EXCLUSIVE_HAS;
  return true;
}
