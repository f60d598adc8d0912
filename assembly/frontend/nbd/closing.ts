// How a connection ends: drained or at once, and when its record is free again. The rules are in connection.ts.

import { EVENT_CONNECTION_CLOSED, OP_CLOSE } from "../../abi";
import { connectionDirty, connectionsDirty } from "../../memory/due";
import { listPush, listRemove, listShift } from "../../memory/lists";
import {
  CONNECTION_CLOSED,
  CONNECTION_CLOSING,
  CONNECTION_DRAINING,
  CONNECTION_FREE,
  Connection,
  RECEIVING_NOTHING,
  Request,
} from "../../memory/records";
import { NONE, TAG_CLOSE, event, makeTag, submit } from "../../memory/ring";
import { lazySendWanted } from "../../memory/lazy-send";
import { waitNoLonger } from "../../request/admission";
import { requestFreeIfOver, requestLeft } from "../../request/pool";
import { requestsGiveUp } from "../../request/request";
import { dropKept } from "../../request/data";

const READY: usize = offsetof<Connection>("readyFirst");
const REQUEST_LINK: usize = offsetof<Request>("next");

const DIRTY: usize = offsetof<Connection>("dirtyNext");

export const free: usize = memory.data(8, 8);

/** DISC: no more requests come; what is outstanding is answered, then it closes. */
export function connectionDrain(n: Connection): void {
  n.state = CONNECTION_DRAINING;
  lazySendWanted();
  n.begin = n.end = 0;
  connectionDirty(n);
}

/** Closes it now, giving up outstanding requests. `error` is a negated errno, 0 for an orderly end. */
export function connectionShut(n: Connection, error: i32): void {
  if (n.state === CONNECTION_FREE || n.state >= CONNECTION_CLOSING) return;
  waitNoLonger(n);
  n.state = CONNECTION_CLOSING;
  n.gone = 1;
  requestsGiveUp(n);
  n.error = error;
  n.generation++;
  n.closeGeneration = n.generation;
  submit(false, OP_CLOSE, 0, makeTag(TAG_CLOSE, n.generation, n.number), n.socket, 0, 0);
  connectionDirty(n);
}

export function dropReplies(n: Connection): void {
  const ready = changetype<usize>(n) + READY;
  for (let at = listShift(ready, REQUEST_LINK); at !== 0; at = listShift(ready, REQUEST_LINK)) {
    requestOver(changetype<Request>(at));
  }
}

/** A payload that will never be complete: its request is dropped, nobody has seen it. */
function dropPayload(n: Connection): void {
  const r = n.payload;
  n.payload = changetype<Request>(0);
  n.drainBytes = 0;
  if (changetype<usize>(r) !== 0) requestOver(r);
}

/** Frees the record when nothing refers to it any more. */
export function connectionGone(n: Connection): void {
  if (n.state < CONNECTION_CLOSING) {
    if (n.requests === 0 && n.state === CONNECTION_DRAINING) connectionDirty(n);
    return;
  }
  if (n.receiving === RECEIVING_NOTHING && changetype<usize>(n.payload) !== 0) return dropPayload(n);
  if (n.state !== CONNECTION_CLOSED || n.requests !== 0 || n.receiving !== 0 || n.sending !== 0) return;
  if (n.dirty !== 0) {
    listRemove(connectionsDirty, changetype<usize>(n), DIRTY);
    n.dirty = 0;
  }
  n.state = CONNECTION_FREE;
  n.unit.connections--;
  event(EVENT_CONNECTION_CLOSED, 0, n.unit.index, NONE, n.number, <u32>n.error, 0, 0);
  listPush(free, changetype<usize>(n), DIRTY);
}

/** Its reply has left, or nobody wants it. The caller has removed it from its lists. */
export function requestOver(r: Request): void {
  requestLeft(r);
  dropKept(r);
  connectionGone(changetype<Connection>(r.client));
  requestFreeIfOver(r);
}
