// Work lists of a turn: units with something to dispatch, connections with something to do. Code that finds work adds it here and
// returns; the turn (core.ts) processes the lists. So nothing below a front end ever calls into it.

import { listPush } from "./lists";
import { CLIENT_BLOCK, Connection, Request } from "./records";
import { Unit } from "./topology";
import { lazySendWanted } from "./lazy-send";

const DIRTY: usize = offsetof<Connection>("dirtyNext");
const READY: usize = offsetof<Connection>("readyFirst");
const REQUEST_LINK: usize = offsetof<Request>("next");
const LINK: usize = offsetof<Unit>("dirtyNext");
export const connectionsDirty: usize = memory.data(8, 8);

/** Something is to be done for it at the end of the turn. */
export function connectionDirty(n: Connection): void {
  if (n.dirty !== 0) return;
  n.dirty = 1;
  listPush(connectionsDirty, changetype<usize>(n), DIRTY);
}

/** A request's answer is due. */
export function answerReady(r: Request): void {
  if (r.client.kind === CLIENT_BLOCK) return listPush(blockReady, changetype<usize>(r), REQUEST_LINK);
  const n = changetype<Connection>(r.client);
  listPush(changetype<usize>(n) + READY, changetype<usize>(r), REQUEST_LINK);
  if (n.sending !== 0) lazySendWanted();
  connectionDirty(n);
}

/** Requests of the block door whose answer, or whose own buffer's return, is due. */
export const blockReady: usize = memory.data(8, 8);

/** Whether the block door has something to tell. */
export function blockPending(): bool {
  return load<usize>(blockReady) !== 0;
}

/** Whether a connection has something to be done. */
export function connectionsPending(): bool {
  return load<usize>(connectionsDirty) !== 0;
}

export const unitsDirty: usize = memory.data(8, 8);

/** Something is to be dispatched at the end of the turn. */
export function unitDirty(u: Unit): void {
  if (u.dirty !== 0) return;
  u.dirty = 1;
  listPush(unitsDirty, changetype<usize>(u), LINK);
}

/** Whether a unit has something to dispatch. */
export function unitsPending(): bool {
  return load<usize>(unitsDirty) !== 0;
}
