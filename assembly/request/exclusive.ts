// Requests that read the blocks at their edges before they write them (legs.ts): from that read to the end of the write nobody
// else may change those blocks, or that change would be undone.
//
// - Such a request begins when no overlapping request is in progress, and no orphan that its write would wait for. From then on
//   any request that would change its blocks waits until it is answered.
// - They wait for each other in the order of their acceptance, and an overlapping request accepted after a waiting one waits
//   behind it: so a stream of writes does not starve it.
// - No two requests wait for each other: one in progress waits for none, and of two that are not, the one with edges waits only
//   for an earlier one of its kind, the other one for it.
// - When it ends early, by its deadline or because its client has disconnected, its commands in the host are open orphans: the
//   others wait for those (orphan.ts). One that only reads leaves nothing to wait for.
// - Reads do not wait: the writes in question are all in progress, so either content is correct.
//
// Without such requests a unit pays one comparison for each request.

import { Request } from "../memory/records";
import { Unit } from "../memory/topology";
import { requestsRelease } from "./queue";

/** An ordinary request. */
export const EXCLUSIVE_NOT: u8 = 0;
/** It has not started yet. */
export const EXCLUSIVE_WANTED: u8 = 1;

/** A request is answered: those that waited for it check again. */
export function exclusiveOver(unit: Unit, request: Request): void {
  if (request.exclusive !== EXCLUSIVE_NOT) unit.exclusives--;
  requestsRelease(unit);
}
