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

/** Asks to be told when the client disconnects. */
function watch(n: Connection): void {
  n.watching = 1;
  n.generation++;
  n.watchGeneration = n.generation;
  submit(false, OP_WATCH, 0, makeTag(TAG_WATCH, n.generation, n.number), n.socket, 0, 0);
}

/** A WATCH has completed: its client has closed the connection and reads nothing any more, whatever of its data is unread. */
export function watchCompleted(n: Connection, generation: u8, result: i32): void {
  if (n.watching === 0 || n.watchGeneration !== generation) return countStray();
  n.watching = 0;
  // A host that cannot watch says so; then RECV and SEND have to detect it.
  if (result === 0) connectionShut(n, 0);
}

/** End of the turn: parses what has arrived, sends what is ready, receives if there is room. */
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
  // If more is in flight, the turn that reports this SEND also brings what has completed meanwhile, together.
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

/** Moves unparsed bytes to the front of the receive buffer. */
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
