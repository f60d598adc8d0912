// Everything a unit has to send, as far as its paths take it: commands to be sent again, then its queue, then its flows.

import { FLOW_CHARGE_BYTES_MAX, FLOW_CHARGE_BYTES_MIN, FLOW_QUANTUM_BYTES, LARGE_BYTES } from "../abi";
import { List } from "../memory/lists";
import { Flow, METHOD_UNMAP, REQUEST_HELD, REQUEST_LINED, REQUEST_QUEUED, Request } from "../memory/records";
import { now } from "../memory/ring";
import { Unit } from "../memory/topology";
import { listsOf } from "../memory/unit-lists";
import { wakeUnit } from "../memory/wake";
import {
  NO_PATH,
  NO_ROOM,
  ONLY_STALLED,
  PIECE_BLOCKED,
  choose,
  dispatchPiece,
  dispatchRequest,
  issue,
  pieceBytes,
} from "./dispatch";
import { commandOverlapsOrphan } from "./orphan";
import { FLOW_LARGE, FLOW_SMALL, flowEnter } from "./flows";
import { isShared, paceBytes, paceIdle, paceOpen, patienceEndNs } from "./pace";
import { requestUnqueue } from "./queue";
import { nextRound, noPath, pause } from "./retry";
import { mustWait } from "./wait";
import { isZeroing } from "./zeroing";

/** As many pieces as paths and pace take. */
const ALL: u32 = u32.MAX_VALUE;

/** Carries out what a unit has to do, as far as its paths take it. */
export function unitDispatch(unit: Unit): void {
  // Nothing is to wait for an orphan either: its requests fail at once.
  if (unit.preempted !== 0) return noPath(unit);
  for (let next = listsOf(unit).retry.first; changetype<usize>(next) !== 0;) {
    const command = next;
    next = command.next;
    if (commandOverlapsOrphan(unit, command)) continue;
    const slot = choose(unit, command);
    if (slot < 0) {
      if (slot === NO_PATH) return noPath(unit);
      if (slot === NO_ROOM) continue;
      if (slot === ONLY_STALLED) pause(command);
      else if (!nextRound(command)) next = listsOf(unit).retry.first;
      continue;
    }
    listsOf(unit).retry.remove(command);
    unit.retrying--;
    issue(command, <u32>slot);
  }
  while (unit.queueFirst !== 0) {
    const request = listsOf(unit).queue.first;
    if (unit.flows !== 0 || wantsFlow(unit, request)) flowEnter(unit, request);
    else if ((unit.harmful | unit.exclusives) !== 0 && mustWait(unit, request)) {
      // It may have failed instead, because the data that it read before may be outdated.
      if (request.state !== REQUEST_QUEUED) continue;
      requestUnqueue(request, REQUEST_HELD);
    } else if (!dispatchRequest(unit, request)) {
      // Not all of it can be sent: from here on requests take turns.
      if (request.state === REQUEST_QUEUED) flowEnter(unit, request);
    }
  }
  flowsServe(unit);
}

/** Whether `request`, at the head of its unit's queue, has to wait in a flow though nobody does. */
function wantsFlow(unit: Unit, request: Request): bool {
  const rest = request.total - request.cut;
  if (rest < LARGE_BYTES) return false;
  return isShared() ? request.method <= METHOD_UNMAP : isZeroing(request) && pieceBytes(unit, request) < rest;
}

/** The flow at the head has had its turn. */
function rotate(list: List<Flow>): void {
  list.push(list.shift());
}

/** Sends what the flows hold, as far as paths and pace take it. */
function flowsServe(unit: Unit): void {
  const lists = listsOf(unit);
  // Small I/O first; but it must not starve large I/O, which then makes up for it.
  if (unit.largeFirst === 0) unit.smallCredit = 0;
  else if (unit.smallFirst !== 0 && unit.smallCredit === 0 && paceIdle(unit) && !serve(unit, lists.largeFlows, 1))
    return;
  if (unit.smallFirst !== 0 && !serve(unit, lists.smallFlows, ALL)) return;
  if (unit.largeFirst !== 0) serve(unit, lists.largeFlows, ALL);
}

/** Serves a list of flows, up to `most` pieces; false when no path takes anything now. */
function serve(unit: Unit, list: List<Flow>, most: u32): bool {
  let left = most;
  // Consecutive zeroings whose next piece may not be sent now.
  let closed: u32 = 0;
  while (!list.isEmpty && left !== 0) {
    const flow = list.first;
    const request = flow.requests.first;
    if ((unit.harmful | unit.exclusives) !== 0 && mustWait(unit, request)) {
      if (request.state === REQUEST_LINED) requestUnqueue(request, REQUEST_HELD);
      closed = 0;
      continue;
    }
    const bytes = pieceBytes(unit, request);
    const cost = <u32>(
      min<u64>(max<u64>(paceBytes(unit, request.method, bytes), FLOW_CHARGE_BYTES_MIN), FLOW_CHARGE_BYTES_MAX)
    );
    if (flow.deficit < cost && flow.next !== 0) {
      flow.deficit += FLOW_QUANTUM_BYTES;
      closed = 0;
      rotate(list);
      continue;
    }
    if (request.flow !== FLOW_SMALL && !paceOpen(unit, request.method, bytes)) {
      if (patienceEndNs(unit) > now) wakeUnit(unit, patienceEndNs(unit));
      // The flow keeps its turn; otherwise one that may have more in flight would always go first. But data does not wait for the
      // end of zeroings that are already under way.
      if (request.flow === FLOW_LARGE || unit.paceZeroes === 0 || flow.next === 0) return true;
      closed++;
      if (closed > unit.flows) return true;
      rotate(list);
      continue;
    }
    closed = 0;
    if (dispatchPiece(unit, request) === PIECE_BLOCKED) return false;
    flow.deficit -= min(cost, flow.deficit);
    if (most === 1) unit.smallCredit = cost;
    else if (list === listsOf(unit).smallFlows) unit.smallCredit -= min(cost, unit.smallCredit);
    left--;
  }
  return true;
}
