// Who is next on a unit when not everything can be sent at once. Each client has three flows: small I/O, large I/O, and zeroings
// and trims. Requests wait in them, and the unit serves its flows in turn by deficit round robin (Shreedhar and Varghese): in
// each turn a flow may send FLOW_QUANTUM_BYTES more, and keeps what is too little for another piece for the next turn. So a
// client's share depends neither on how many requests it has sent nor on how large they are.
//
// - Small I/O bypasses the flows while they are empty, and so does a lone client's large I/O.
// - A request in a flow makes one piece at a time. The requests of a flow are carried out one after the other: so most of many
//   zeroings end early, instead of all of them late.
// - Large I/O waits until the device has little of that kind to do (pace.ts). Small I/O passes it meanwhile, and data passes a
//   zeroing that waits for that.

import { FLOW_QUANTUM_BYTES, LARGE_BYTES } from "../abi";
import { listPush, listRemove } from "../memory/lists";
import { Client, FLOW_BYTES, Flow, REQUEST_LINED, Request } from "../memory/records";
import { Unit } from "../memory/topology";
import { isZeroing } from "./zeroing";

const LINK: usize = offsetof<Request>("next");
const QUEUE: usize = offsetof<Unit>("queueFirst");
const SMALL_FLOWS: usize = offsetof<Unit>("smallFirst");
const LARGE_FLOWS: usize = offsetof<Unit>("largeFirst");
const FLOWS: usize = offsetof<Client>("flows0");
const FLOW_LINK: usize = offsetof<Flow>("next");

export const FLOW_SMALL: u8 = 0;
export const FLOW_LARGE: u8 = 1;
const FLOW_ZERO: u8 = 2;

function flowOf(r: Request): Flow {
  return changetype<Flow>(changetype<usize>(r.client) + FLOWS + <usize>r.flow * FLOW_BYTES);
}

/** The unit's list that a flow is in: flows of small I/O have one of their own. */
function listOf(u: Unit, kind: u8): usize {
  return changetype<usize>(u) + (kind === FLOW_SMALL ? SMALL_FLOWS : LARGE_FLOWS);
}

/** Moves the request at the head of the unit's queue into its flow. */
export function flowEnter(u: Unit, r: Request): void {
  listRemove(changetype<usize>(u) + QUEUE, changetype<usize>(r), LINK);
  const large = r.total - r.cut >= LARGE_BYTES;
  r.flow = large ? (isZeroing(r) ? FLOW_ZERO : FLOW_LARGE) : FLOW_SMALL;
  r.state = REQUEST_LINED;
  const flow = flowOf(r);
  if (flow.first === 0) {
    flow.deficit = FLOW_QUANTUM_BYTES;
    listPush(listOf(u, r.flow), changetype<usize>(flow), FLOW_LINK);
    u.flows++;
  }
  listPush(changetype<usize>(flow), changetype<usize>(r), LINK);
}

/** Removes a request from its flow. */
export function flowLeave(r: Request): void {
  const u = r.unit;
  const flow = flowOf(r);
  listRemove(changetype<usize>(flow), changetype<usize>(r), LINK);
  if (flow.first !== 0) return;
  listRemove(listOf(u, r.flow), changetype<usize>(flow), FLOW_LINK);
  u.flows--;
}
