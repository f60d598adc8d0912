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
import { List } from "../memory/lists";
import { Client, FLOW_BYTES, Flow, REQUEST_LINED, Request } from "../memory/records";
import { Unit } from "../memory/topology";
import { listsOf } from "../memory/unit-lists";
import { isZeroing } from "./zeroing";

const FLOWS: usize = offsetof<Client>("flows0");

export const FLOW_SMALL: u8 = 0;
export const FLOW_LARGE: u8 = 1;
const FLOW_ZERO: u8 = 2;

function flowOf(request: Request): Flow {
  return changetype<Flow>(changetype<usize>(request.client) + FLOWS + <usize>request.flow * FLOW_BYTES);
}

/** The unit's list that a flow is in: flows of small I/O have one of their own. */
function listOf(unit: Unit, kind: u8): List<Flow> {
  return kind === FLOW_SMALL ? listsOf(unit).smallFlows : listsOf(unit).largeFlows;
}

/** Moves the request at the head of the unit's queue into its flow. */
export function flowEnter(unit: Unit, request: Request): void {
  listsOf(unit).queue.remove(request);
  const large = request.total - request.cut >= LARGE_BYTES;
  request.flow = large ? (isZeroing(request) ? FLOW_ZERO : FLOW_LARGE) : FLOW_SMALL;
  request.state = REQUEST_LINED;
  const flow = flowOf(request);
  if (flow.first === 0) {
    flow.deficit = FLOW_QUANTUM_BYTES;
    listOf(unit, request.flow).push(flow);
    unit.flows++;
  }
  flow.requests.push(request);
}

/** Removes a request from its flow. */
export function flowLeave(request: Request): void {
  const unit = request.unit;
  const flow = flowOf(request);
  flow.requests.remove(request);
  if (flow.first !== 0) return;
  listOf(unit, request.flow).remove(flow);
  unit.flows--;
}
