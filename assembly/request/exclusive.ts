// Requests that read the blocks at their edges before they write them (legs.ts): from that read to the end of their write
// nobody else may change those blocks, or what he has written would be undone.
//
// - Such a request begins when no request that overlaps it is under way, and no orphan that its write would wait for.
//   From then on whatever would change what it covers waits until it is answered.
// - They wait for each other in the order of their acceptance, and what was accepted after one that waits, and overlaps
//   it, waits behind it: so a stream of writes does not starve it.
// - No two requests wait for each other: one that is under way waits for none, and of two that are not, the one with the edges
//   waits for an earlier one of its kind only, the other one for it.
// - When it ends early, by its deadline or because its client has gone, what the host has of it is an open orphan: the others wait
//   for that (orphan.ts). One that only reads leaves nothing to wait for.
// - Reads do not wait: each of the writes in question is under way, so either content is right.
//
// Without such requests a unit pays one comparison for each request.

import { Request } from "../memory/records";
import { Unit } from "../memory/topology";
import { requestsRelease } from "./queue";

/** It is like any other. */
export const EXCLUSIVE_NOT: u8 = 0;
/** It has not begun yet. */
export const EXCLUSIVE_WANTED: u8 = 1;

/** A request is answered: whoever waited for it asks again. */
export function exclusiveOver(u: Unit, r: Request): void {
  if (r.exclusive !== EXCLUSIVE_NOT) u.exclusives--;
  requestsRelease(u);
}
