// Zeroings and trims. A WRITE_ZEROES or a TRIM covers up to 4 GiB and takes no buffers but for an UNMAP's parameter list, so
// nothing bounds what is accepted of them: sixteen of 4 GiB keep an array busy for a minute. So
//
// - while several clients share the core they are cut into pieces each of which keeps the device busy for a short time only,
//   whatever it says that it takes (pace.ts);
// - one of many pieces waits in a flow of its connection (flows.ts), behind others of its kind, and makes one piece each time
//   the flow has its turn. Side by side all of them would end late, and perhaps too late; one after the other all but the
//   last end early;
// - not more than ZEROING_PIECES_MAX of a unit's pieces are under way, so they use up neither the paths nor the command slots;
//   fewer where they take long, or others share the core.
//
// One of a single piece is like any other request. How long they may take: long.ts.

import { METHOD_UNMAP, METHOD_ZERO_WRITE, Request } from "../memory/records";

export function isZeroing(r: Request): bool {
  return r.method >= METHOD_ZERO_WRITE && r.method <= METHOD_UNMAP;
}
