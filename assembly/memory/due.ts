// Work lists of a turn: units with something to dispatch, connections with something to do. Code that finds work adds it here and
// returns; the turn (core.ts) processes the lists. So nothing below a front end ever calls into it.

import { DirtyList, List } from "./lists";
import { CLIENT_BLOCK, Connection, Request } from "./records";
import { Unit } from "./topology";
import { lazySendWanted } from "./lazy-send";

export const connectionsDirty = changetype<DirtyList<Connection>>(memory.data(8, 8));

/** Something is to be done for it at the end of the turn. */
export function connectionDirty(connection: Connection): void {
  if (connection.dirty !== 0) return;
  connection.dirty = 1;
  connectionsDirty.push(connection);
}

/** A request's answer is due. */
export function answerReady(request: Request): void {
  if (request.client.kind === CLIENT_BLOCK) return blockReady.push(request);
  const connection = changetype<Connection>(request.client);
  connection.readyRequests.push(request);
  if (connection.sending !== 0) lazySendWanted();
  connectionDirty(connection);
}

/** Requests of the block door whose answer, or whose own buffer's return, is due. */
export const blockReady = changetype<List<Request>>(memory.data(8, 8));

/** Whether the block door has something to tell. */
export function blockPending(): bool {
  return !blockReady.isEmpty;
}

/** Whether a connection has something to be done. */
export function connectionsPending(): bool {
  return !connectionsDirty.isEmpty;
}

export const unitsDirty = changetype<DirtyList<Unit>>(memory.data(8, 8));

/** Something is to be dispatched at the end of the turn. */
export function unitDirty(unit: Unit): void {
  if (unit.dirty !== 0) return;
  unit.dirty = 1;
  unitsDirty.push(unit);
}

/** Whether a unit has something to dispatch. */
export function unitsPending(): bool {
  return !unitsDirty.isEmpty;
}
