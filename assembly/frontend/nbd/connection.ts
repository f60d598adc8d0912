// NBD connections in their transmission phase: what is received when, what is sent when, and how one ends.
//
// - At most one RECV and one SEND are pending. Replies that become ready while a SEND is under way go out together
//   with the next one. The reply's header lies in the request slot, its data in the request's buffers: both stay
//   until the SEND has completed.
// - A RECV is armed only when there is somewhere to put what it brings; a connection that waits for room has none.
// - Ending: DISC lets outstanding requests finish and their replies leave (DRAINING). When the client has gone, or has
//   broken the protocol, or control closes it, it ends at once (CLOSING): nobody hears an answer, and a client that has gone
//   may have been replaced by one that sends again what was not answered. So nothing more of it is begun, replies are
//   dropped, and what the host has of it becomes orphans, which what is sent since waits for (orphan.ts). The record is free
//   when the host has completed CLOSE; no completion follows it.
// - That a client has gone shows in a WATCH, which lasts as long as the connection. RECV would show it too late: nothing is
//   received from a connection that waits for room, and what its client has sent before it went would be read first.
//   RECV shows a client that only sends no more; without DISC that counts as gone.

import {
  CONNECTION_ALLOCATION,
  CONNECTION_EXTENDED,
  CONNECTION_FAST_ZERO,
  CONNECTION_READ_ONLY,
  CONNECTION_RECEIVE_BYTES,
  CONNECTION_STRUCTURED,
  CONNECTION_TRIM,
  CONNECTION_UNALIGNED,
  ERROR_HANDLE,
  ERROR_LIMIT,
  ERROR_RANGE,
  OP_RECV,
  OP_SEND,
  OP_WATCH,
  SCRATCH_BYTES,
  SUBMISSION_FLAG_LAZY,
  SUBMISSION_FLAG_WAIT_ALL,
  UNIT_FLAG_PRESENT,
} from "../../abi";
import { connectionDirty, connectionsDirty } from "../../memory/due";
import { EIO, negated } from "../../memory/errno";
import { listShift } from "../../memory/lists";
import {
  connectionAt,
  connectionCount,
  connections,
  gatherOf,
  listAll,
  receiveBufferOf,
  scratchArea,
  unitAt,
  unitCount,
} from "../../memory/memory";
import {
  CLIENT_NBD,
  CONNECTION_CLOSED,
  CONNECTION_CLOSING,
  CONNECTION_DRAINING,
  CONNECTION_FREE,
  CONNECTION_OPEN,
  CONNECTION_RECORD_BYTES,
  Connection,
  RECEIVING_HEADERS,
  RECEIVING_NOTHING,
  RECEIVING_PAYLOAD,
  Request,
} from "../../memory/records";
import { TAG_RECV, TAG_SEND, TAG_WATCH, countStray, makeTag, now, submit } from "../../memory/ring";
import { lazySend } from "../../memory/lazy-send";
import { anybodyWaits } from "../../request/admission";
import { connectionGone, connectionShut, dropReplies, free, requestOver } from "./closing";
import { parseRequests, payloadArrived, payloadTarget, payloadTargetBytes } from "./parser";
import { gatherReplies } from "./reply";

const DIRTY: usize = offsetof<Connection>("dirtyNext");
const SENDING: usize = offsetof<Connection>("sendingFirst");
const REQUEST_LINK: usize = offsetof<Request>("next");

/** Flags `connectionAdd` knows. */
const FLAGS_KNOWN: u32 =
  CONNECTION_STRUCTURED |
  CONNECTION_READ_ONLY |
  CONNECTION_FAST_ZERO |
  CONNECTION_TRIM |
  CONNECTION_UNALIGNED |
  CONNECTION_EXTENDED |
  CONNECTION_ALLOCATION;

export function connectionsInit(): void {
  for (let i: u32 = 0; i < connectionCount; i++) {
    const n = connectionAt(i);
    n.index = i;
    n.number = i;
    n.kind = CLIENT_NBD;
    n.receiveBuffer = receiveBufferOf(i);
    n.gather = gatherOf(i);
  }
  listAll(free, connections, connectionCount, CONNECTION_RECORD_BYTES, DIRTY);
}

/** See docs/architecture.md, `connectionAdd`. */
export function connectionTakeOver(socket: u32, unit: u32, flags: u32, preloaded: u32): i32 {
  if (unit >= unitCount || (unitAt(unit).flags & UNIT_FLAG_PRESENT) === 0) return -(<i32>ERROR_HANDLE);
  const u = unitAt(unit);
  if (preloaded > SCRATCH_BYTES || preloaded > CONNECTION_RECEIVE_BYTES) return -(<i32>ERROR_RANGE);
  if ((flags & ~FLAGS_KNOWN) !== 0 || u.blockBytes === 0) return -(<i32>ERROR_RANGE);
  const at = listShift(free, DIRTY);
  if (at === 0) return -(<i32>ERROR_LIMIT);
  const n = changetype<Connection>(at);
  assert(n.state === CONNECTION_FREE && n.requests === 0);
  n.state = CONNECTION_OPEN;
  n.socket = socket;
  n.unit = u;
  n.flags = flags;
  n.begin = 0;
  n.end = preloaded;
  n.payload = changetype<Request>(0);
  n.payloadBytes = 0;
  n.drainBytes = 0;
  n.drainError = 0;
  n.error = 0;
  n.receiving = RECEIVING_NOTHING;
  n.sending = 0;
  n.gone = 0;
  n.dirty = 0;
  n.waiting = 0;
  n.bytesHeld = 0;
  n.progressNs = now;
  memory.copy(n.receiveBuffer, scratchArea, preloaded);
  u.connections++;
  watch(n);
  connectionDirty(n);
  return <i32>n.number;
}

/** Asks for word of the client's end. */
function watch(n: Connection): void {
  n.watching = 1;
  n.generation++;
  n.watchGeneration = n.generation;
  submit(false, OP_WATCH, 0, makeTag(TAG_WATCH, n.generation, n.number), n.socket, 0, 0);
}

/** A WATCH has completed: its client has closed the connection and hears nothing any more, whatever of it is unread. */
export function watchCompleted(n: Connection, generation: u8, result: i32): void {
  if (n.watching === 0 || n.watchGeneration !== generation) return countStray();
  n.watching = 0;
  // A host that cannot watch says so; then RECV and SEND tell.
  if (result === 0) connectionShut(n, 0);
}

/** The end of the turn: parses what there is, sends what is ready, receives where there is room. */
export function connectionsServe(): void {
  for (let at = listShift(connectionsDirty, DIRTY); at !== 0; at = listShift(connectionsDirty, DIRTY)) {
    const n = changetype<Connection>(at);
    n.dirty = 0;
    if (n.state === CONNECTION_OPEN && n.waiting === 0) parseRequests(n);
    if (n.state === CONNECTION_OPEN || n.state === CONNECTION_DRAINING) send(n);
    if (n.state === CONNECTION_OPEN && n.waiting === 0) receive(n);
    if (n.state === CONNECTION_DRAINING && n.requests === 0 && n.sending === 0) connectionShut(n, 0);
    if (n.state >= CONNECTION_CLOSING) {
      dropReplies(n);
      connectionGone(n);
    }
  }
}

function send(n: Connection): void {
  if (n.sending !== 0 || n.readyFirst === 0) return;
  const entries = gatherReplies(n);
  n.sending = 1;
  n.progressNs = now;
  n.generation++;
  n.sendGeneration = n.generation;
  const tag = makeTag(TAG_SEND, n.generation, n.number);
  // Where more is under way, the turn that brings word of this SEND also brings what has come meanwhile, together.
  const lone = n.requests === 1 && n.state === CONNECTION_OPEN && !anybodyWaits();
  submit(false, OP_SEND, lone ? SUBMISSION_FLAG_LAZY : 0, tag, n.socket, n.gather, entries);
  if (lone) lazySend();
}

function receive(n: Connection): void {
  if (n.receiving !== RECEIVING_NOTHING) return;
  n.generation++;
  const target = payloadTarget(n);
  if (target !== 0) {
    n.receiving = RECEIVING_PAYLOAD;
    const tag = makeTag(TAG_RECV, n.generation, n.number);
    submit(false, OP_RECV, SUBMISSION_FLAG_WAIT_ALL, tag, n.socket, target, payloadTargetBytes(n));
  } else {
    n.receiving = RECEIVING_HEADERS;
    compact(n);
    const room = CONNECTION_RECEIVE_BYTES - n.end;
    assert(room !== 0);
    submit(false, OP_RECV, 0, makeTag(TAG_RECV, n.generation, n.number), n.socket, n.receiveBuffer + n.end, room);
  }
  n.receiveGeneration = n.generation;
}

/** Moves what is not parsed yet to the front of the receive buffer. */
function compact(n: Connection): void {
  const bytes = n.end - n.begin;
  if (n.begin !== 0 && bytes !== 0) memory.copy(n.receiveBuffer, n.receiveBuffer + n.begin, bytes);
  n.begin = 0;
  n.end = bytes;
}

/** A RECV has completed. */
export function receiveCompleted(n: Connection, generation: u8, result: i32): void {
  if (n.receiving === RECEIVING_NOTHING || n.receiveGeneration !== generation) return countStray();
  const what = n.receiving;
  n.receiving = RECEIVING_NOTHING;
  if (n.state !== CONNECTION_OPEN) return connectionGone(n);
  if (result < 0) return connectionShut(n, result);
  n.progressNs = now;
  connectionDirty(n);
  if (what === RECEIVING_PAYLOAD) {
    if (<u32>result === payloadTargetBytes(n)) return payloadArrived(n, <u32>result);
    return connectionShut(n, 0);
  }
  if (result === 0) return connectionShut(n, 0);
  if (<u32>result > CONNECTION_RECEIVE_BYTES - n.end) return connectionShut(n, -(<i32>ERROR_RANGE));
  n.end += <u32>result;
}

/** A SEND has completed. */
export function sendCompleted(n: Connection, generation: u8, result: i32): void {
  if (n.sending === 0 || n.sendGeneration !== generation) return countStray();
  n.sending = 0;
  const sending = changetype<usize>(n) + SENDING;
  for (let at = listShift(sending, REQUEST_LINK); at !== 0; at = listShift(sending, REQUEST_LINK)) {
    requestOver(changetype<Request>(at));
  }
  if (n.state >= CONNECTION_CLOSING) return connectionGone(n);
  n.progressNs = now;
  if (result < 0 || <u32>result !== n.sendBytes) return connectionShut(n, result < 0 ? result : negated(EIO));
  connectionDirty(n);
}

/** A CLOSE has completed; no completion of its socket follows. */
export function closeCompleted(n: Connection, generation: u8): void {
  if (n.state !== CONNECTION_CLOSING || n.closeGeneration !== generation) return countStray();
  n.state = CONNECTION_CLOSED;
  // The host owes nothing any more; whatever it did not complete is over.
  if (n.sending !== 0) sendCompleted(n, n.sendGeneration, negated(EIO));
  n.receiving = RECEIVING_NOTHING;
  n.watching = 0;
  connectionGone(n);
}
