// How a connection ends: drained or at once, and when its record is free again. The rules are in connection.ts.

import { EVENT_CONNECTION_CLOSED, OP_CLOSE } from "../../abi";
import { connectionDirty, connectionsDirty } from "../../memory/due";
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
import { DirtyList } from "../../memory/lists";
import { waitNoLonger } from "../../request/admission";
import { requestFreeIfOver, requestLeft } from "../../request/pool";
import { requestsGiveUp } from "../../request/request";
import { dropKept } from "../../request/data";

export const free = changetype<DirtyList<Connection>>(memory.data(8, 8));

/** DISC: no more requests come; what is outstanding is answered, then it closes. */
export function connectionDrain(connection: Connection): void {
  connection.state = CONNECTION_DRAINING;
  lazySendWanted();
  connection.begin = connection.end = 0;
  connectionDirty(connection);
}

/** Closes it now, giving up outstanding requests. `error` is a negated errno, 0 for an orderly end. */
export function connectionShut(connection: Connection, error: i32): void {
  if (connection.state === CONNECTION_FREE || connection.state >= CONNECTION_CLOSING) return;
  waitNoLonger(connection);
  connection.state = CONNECTION_CLOSING;
  connection.gone = 1;
  requestsGiveUp(connection);
  connection.error = error;
  connection.generation++;
  connection.closeGeneration = connection.generation;
  submit(false, OP_CLOSE, 0, makeTag(TAG_CLOSE, connection.generation, connection.number), connection.socket, 0, 0);
  connectionDirty(connection);
}

export function dropReplies(connection: Connection): void {
  const ready = connection.readyRequests;
  for (let request = ready.shift(); changetype<usize>(request) !== 0; request = ready.shift()) {
    requestOver(request);
  }
}

/** A payload that will never be complete: its request is dropped, nobody has seen it. */
function dropPayload(connection: Connection): void {
  const request = connection.payload;
  connection.payload = changetype<Request>(0);
  connection.drainBytes = 0;
  if (changetype<usize>(request) !== 0) requestOver(request);
}

/** Frees the record when nothing refers to it any more. */
export function connectionGone(connection: Connection): void {
  if (connection.state < CONNECTION_CLOSING) {
    if (connection.requests === 0 && connection.state === CONNECTION_DRAINING) connectionDirty(connection);
    return;
  }
  if (connection.receiving === RECEIVING_NOTHING && changetype<usize>(connection.payload) !== 0)
    return dropPayload(connection);
  if (
    connection.state !== CONNECTION_CLOSED ||
    connection.requests !== 0 ||
    connection.receiving !== 0 ||
    connection.sending !== 0
  )
    return;
  if (connection.dirty !== 0) {
    connectionsDirty.remove(connection);
    connection.dirty = 0;
  }
  connection.state = CONNECTION_FREE;
  connection.unit.connections--;
  event(EVENT_CONNECTION_CLOSED, 0, connection.unit.index, NONE, connection.number, <u32>connection.error, 0, 0);
  free.push(connection);
}

/** Its reply has left, or nobody wants it. The caller has removed it from its lists. */
export function requestOver(request: Request): void {
  requestLeft(request);
  dropKept(request);
  connectionGone(changetype<Connection>(request.client));
  requestFreeIfOver(request);
}
