// NBD connections in their transmission phase: when to receive, when to send, and how a connection ends.
//
// - At most one RECV and one SEND are pending. Replies that become ready during a SEND go out together in the next one. The
//   reply's header is in the request slot, its data in the request's buffers: both stay until the SEND has completed.
// - A RECV is armed only when there is room for what it brings; a connection that waits for room has none.
// - Ending: after DISC outstanding requests finish and their replies leave (DRAINING). When the client disconnects or violates
//   the protocol, or control closes the connection, it ends at once (CLOSING): nobody will read an answer, and a client that is
//   gone may have been replaced by one that resends what was not answered. So no more of its work is started, replies are
//   dropped, and commands in flight become orphans, which later requests wait for (orphan.ts). The record is free when the host
//   has completed CLOSE; no completion follows it.
// - A WATCH, which lasts as long as the connection, reports that a client has disconnected. RECV would report it too late:
//   nothing is received from a connection that waits for room, and everything the client sent before would be read first. RECV
//   shows a client that has only stopped sending; without DISC that counts as gone.

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
    const connection = connectionAt(i);
    connection.index = i;
    connection.number = i;
    connection.kind = CLIENT_NBD;
    connection.receiveBuffer = receiveBufferOf(i);
    connection.gather = gatherOf(i);
  }
  listAll(changetype<usize>(free), connections, connectionCount, CONNECTION_RECORD_BYTES, DIRTY);
}

/** See docs/architecture.md, `connectionAdd`. */
export function connectionTakeOver(socket: u32, handle: u32, flags: u32, preloaded: u32): i32 {
  if (handle >= unitCount || (unitAt(handle).flags & UNIT_FLAG_PRESENT) === 0) return -(<i32>ERROR_HANDLE);
  const unit = unitAt(handle);
  if (preloaded > SCRATCH_BYTES || preloaded > CONNECTION_RECEIVE_BYTES) return -(<i32>ERROR_RANGE);
  if ((flags & ~FLAGS_KNOWN) !== 0 || unit.blockBytes === 0) return -(<i32>ERROR_RANGE);
  const connection = free.shift();
  if (changetype<usize>(connection) === 0) return -(<i32>ERROR_LIMIT);
  assert(connection.state === CONNECTION_FREE && connection.requests === 0);
  connection.state = CONNECTION_OPEN;
  connection.socket = socket;
  connection.unit = unit;
  connection.flags = flags;
  connection.begin = 0;
  connection.end = preloaded;
  connection.payload = changetype<Request>(0);
  connection.payloadBytes = 0;
  connection.drainBytes = 0;
  connection.drainError = 0;
  connection.error = 0;
  connection.receiving = RECEIVING_NOTHING;
  connection.sending = 0;
  connection.gone = 0;
  connection.dirty = 0;
  connection.waiting = 0;
  connection.bytesHeld = 0;
  connection.progressNs = now;
  memory.copy(connection.receiveBuffer, scratchArea, preloaded);
  unit.connections++;
  watch(connection);
  connectionDirty(connection);
  return <i32>connection.number;
}

/** Asks to be told when the client disconnects. */
function watch(connection: Connection): void {
  connection.watching = 1;
  connection.generation++;
  connection.watchGeneration = connection.generation;
  submit(false, OP_WATCH, 0, makeTag(TAG_WATCH, connection.generation, connection.number), connection.socket, 0, 0);
}

/** A WATCH has completed: its client has closed the connection and reads nothing any more, whatever of its data is unread. */
export function watchCompleted(connection: Connection, generation: u8, result: i32): void {
  if (connection.watching === 0 || connection.watchGeneration !== generation) return countStray();
  connection.watching = 0;
  // A host that cannot watch says so; then RECV and SEND have to detect it.
  if (result === 0) connectionShut(connection, 0);
}

/** End of the turn: parses what has arrived, sends what is ready, receives if there is room. */
export function connectionsServe(): void {
  for (
    let connection = connectionsDirty.shift();
    changetype<usize>(connection) !== 0;
    connection = connectionsDirty.shift()
  ) {
    connection.dirty = 0;
    if (connection.state === CONNECTION_OPEN && connection.waiting === 0) parseRequests(connection);
    if (connection.state === CONNECTION_OPEN || connection.state === CONNECTION_DRAINING) send(connection);
    if (connection.state === CONNECTION_OPEN && connection.waiting === 0) receive(connection);
    if (connection.state === CONNECTION_DRAINING && connection.requests === 0 && connection.sending === 0)
      connectionShut(connection, 0);
    if (connection.state >= CONNECTION_CLOSING) {
      dropReplies(connection);
      connectionGone(connection);
    }
  }
}

function send(connection: Connection): void {
  if (connection.sending !== 0 || connection.readyFirst === 0) return;
  const entries = gatherReplies(connection);
  connection.sending = 1;
  connection.progressNs = now;
  connection.generation++;
  connection.sendGeneration = connection.generation;
  const tag = makeTag(TAG_SEND, connection.generation, connection.number);
  // If more is in flight, the turn that reports this SEND also brings what has completed meanwhile, together.
  const lone = connection.requests === 1 && connection.state === CONNECTION_OPEN && !anybodyWaits();
  submit(false, OP_SEND, lone ? SUBMISSION_FLAG_LAZY : 0, tag, connection.socket, connection.gather, entries);
  if (lone) lazySend();
}

function receive(connection: Connection): void {
  if (connection.receiving !== RECEIVING_NOTHING) return;
  connection.generation++;
  const target = payloadTarget(connection);
  if (target !== 0) {
    connection.receiving = RECEIVING_PAYLOAD;
    const tag = makeTag(TAG_RECV, connection.generation, connection.number);
    submit(false, OP_RECV, SUBMISSION_FLAG_WAIT_ALL, tag, connection.socket, target, payloadTargetBytes(connection));
  } else {
    connection.receiving = RECEIVING_HEADERS;
    compact(connection);
    const room = CONNECTION_RECEIVE_BYTES - connection.end;
    assert(room !== 0);
    submit(
      false,
      OP_RECV,
      0,
      makeTag(TAG_RECV, connection.generation, connection.number),
      connection.socket,
      connection.receiveBuffer + connection.end,
      room,
    );
  }
  connection.receiveGeneration = connection.generation;
}

/** Moves unparsed bytes to the front of the receive buffer. */
function compact(connection: Connection): void {
  const bytes = connection.end - connection.begin;
  if (connection.begin !== 0 && bytes !== 0)
    memory.copy(connection.receiveBuffer, connection.receiveBuffer + connection.begin, bytes);
  connection.begin = 0;
  connection.end = bytes;
}

/** A RECV has completed. */
export function receiveCompleted(connection: Connection, generation: u8, result: i32): void {
  if (connection.receiving === RECEIVING_NOTHING || connection.receiveGeneration !== generation) return countStray();
  const what = connection.receiving;
  connection.receiving = RECEIVING_NOTHING;
  if (connection.state !== CONNECTION_OPEN) return connectionGone(connection);
  if (result < 0) return connectionShut(connection, result);
  connection.progressNs = now;
  connectionDirty(connection);
  const room = what === RECEIVING_PAYLOAD ? payloadTargetBytes(connection) : CONNECTION_RECEIVE_BYTES - connection.end;
  // The host says that it wrote beyond what it was given: none of it can be trusted.
  if (<u32>result > room) return connectionShut(connection, negated(EIO));
  if (what === RECEIVING_PAYLOAD) {
    if (<u32>result === room) return payloadArrived(connection, room);
    return connectionShut(connection, 0);
  }
  if (result === 0) return connectionShut(connection, 0);
  connection.end += <u32>result;
}

/** A SEND has completed. */
export function sendCompleted(connection: Connection, generation: u8, result: i32): void {
  if (connection.sending === 0 || connection.sendGeneration !== generation) return countStray();
  connection.sending = 0;
  const sending = connection.sendingRequests;
  for (let request = sending.shift(); changetype<usize>(request) !== 0; request = sending.shift()) {
    requestOver(request);
  }
  if (connection.state >= CONNECTION_CLOSING) return connectionGone(connection);
  connection.progressNs = now;
  if (result < 0 || <u32>result !== connection.sendBytes)
    return connectionShut(connection, result < 0 ? result : negated(EIO));
  connectionDirty(connection);
}

/** A CLOSE has completed; no completion of its socket follows. */
export function closeCompleted(connection: Connection, generation: u8): void {
  if (connection.state !== CONNECTION_CLOSING || connection.closeGeneration !== generation) return countStray();
  connection.state = CONNECTION_CLOSED;
  // The host owes nothing any more; whatever it did not complete is over.
  if (connection.sending !== 0) sendCompleted(connection, connection.sendGeneration, negated(EIO));
  connection.receiving = RECEIVING_NOTHING;
  connection.watching = 0;
  connectionGone(connection);
}
