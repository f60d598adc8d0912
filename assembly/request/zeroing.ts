// Zeroings and trims. A WRITE_ZEROES or a TRIM covers up to 4 GiB and takes no buffers except for an UNMAP's parameter list, so
// nothing limits how many are accepted: sixteen of 4 GiB keep an array busy for a minute. So
//
// - while several clients share the core they are split into pieces that each keep the device busy for a short time only,
//   whatever size it claims to accept (pace.ts);
// - a request of many pieces waits in a flow of its connection (flows.ts), behind others of its kind, and makes one piece in each
//   turn of the flow. In parallel all of them would end late, perhaps too late; one after the other, all but the last end early;
// - at most ZEROING_PIECES_MAX of a unit's pieces are in flight, so they use up neither the paths nor the command slots; fewer if
//   they take long, or others share the core.
//
// One of a single piece is like any other request. Their time limits are in long.ts.

import { METHOD_UNMAP, METHOD_ZERO_WRITE, Request } from "../memory/records";

export function isZeroing(request: Request): bool {
  return request.method >= METHOD_ZERO_WRITE && request.method <= METHOD_UNMAP;
}
