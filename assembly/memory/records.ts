// Records of what passes through the core, as classes laid over its memory: connections, requests, commands. Units and paths are
// in topology.ts. The parts that the host reads have the offsets of abi.ts; `checkRecords` compares them once at init.
//
// Who owns what:
// - A Connection owns its socket, its receive buffer and its gather table until the host has completed CLOSE and
//   every request that came by it is answered or given up.
// - A Request owns its data buffers from the moment its header was parsed until its reply has left (or cannot any
//   more) AND no command slot refers to it. An orphan therefore keeps the buffers of its request.
// - A Command is one SCSI command slot. From submission to completion the host owns it: it is neither reused nor
//   changed, whatever the core has decided about its request meanwhile.

import { COMMAND_BUFFER, COMMAND_PRIVATE, COMMAND_RESIDUAL, COMMAND_SENSE, COMMAND_TIMEOUT_MS } from "../abi";
import { List, listPush, listRemove } from "./lists";
import { Path, Unit } from "./topology";

/** A SCSI command slot. */
@unmanaged
export class Command {
  cdb0: u64;
  cdb1: u64;
  cdbBytes: u8;
  direction: u8;
  status: u8;
  senseBytes: u8;
  hostStatus: u16;
  driverStatus: u16;
  buffer: u32;
  bufferBytes: u32;
  residual: i32;
  timeoutMs: u32;
  sense0: u64;
  sense1: u64;
  sense2: u64;
  sense3: u64;
  sense4: u64;
  sense5: u64;
  sense6: u64;
  sense7: u64;
  sense8: u64;
  sense9: u64;
  sense10: u64;
  sense11: u64;
  // From here on private to the core.
  /** When it was sent, or when it may be sent again (DELAYED). */
  timeNs: u64;
  /** `busyNs` when it was sent. */
  busyNs: u64;
  /** First block of the piece. */
  lba: u64;
  request: Request;
  unit: Unit;
  path: Path;
  index: u32;
  /** The piece: where in the request it starts, and how much of it it is. */
  pieceOffset: u32;
  pieceBytes: u32;
  /** Link in the list its state names. */
  next: Command;
  previous: Command;
  /** Link in the list of its request's commands. */
  nextOfRequest: Command;
  previousOfRequest: Command;
  /** Slots where this piece has failed since its current round began. */
  tried: u32;
  /** Slots whose path has refused it (OUTCOME_ELSEWHERE), counted against them if another path carries it out. */
  refused: u32;
  /** Slots whose path has reported that the unit ends before this piece (OUTCOME_PAST_END). */
  pastEnd: u32;
  /** A buffer of its own (a retried read, a further UNMAP's parameter list), or 0. */
  ownBuffer: u32;
  /** Losses of power that its unit had reported when it was sent. */
  powerLosses: u32;
  /** What the policy needs when it completes (`started`). */
  note: u32;
  state: u8;
  flags: u8;
  /** Retries of this piece on its present path. */
  retries: u8;
  /** How often every eligible path had been tried. */
  rounds: u8;
  generation: u8;
  /** METHOD_* this command was built for. */
  method: u8;
  /** 0 at first, plus one each time its piece was issued again in parallel. */
  attempt: u8;
  /** PACE_* while it counts as large or a zeroing; 1: nothing of that kind was in flight when it was sent (pace.ts). */
  pace: u8;
  lone: u8;
  /** Bytes of its kind that its unit had carried out when it was sent. */
  paceDone: u64;
  /** When its piece was first sent. */
  firstNs: u64;
}

export const COMMAND_SLOT_BYTES: usize = 256;

/** On the free list. */
export const COMMAND_FREE: u8 = 0;
/** In its unit's `retry` list: sent as soon as a path takes it. */
export const COMMAND_QUEUED: u8 = 1;
/** In its unit's `delayed` list until `timeNs`. */
export const COMMAND_DELAYED: u8 = 2;
/** In its unit's `flight` list; the host owns it. */
export const COMMAND_FLIGHT: u8 = 3;
/** Done; only keeps the buffer that its reply is sent from. */
export const COMMAND_KEPT: u8 = 4;

/** Another command was issued for its piece, or its request was given up: it counts as an orphan. */
export const COMMAND_ORPHAN: u8 = 1;
/** Its result no longer matters: the piece is settled. */
export const COMMAND_DEAD: u8 = 2;
/** Its request was answered with an error: whether the write happened is open. */
export const COMMAND_OPEN: u8 = 4;
/** It can no longer change the medium (a reset ended it), although the host has not returned it. */
export const COMMAND_HARMLESS: u8 = 8;
/** Its slot on the path was released in the policy's bookkeeping. */
export const COMMAND_WRITTEN_OFF: u8 = 16;
/** A read that was considered for hedging, or is a hedge. */
export const COMMAND_HEDGED: u8 = 32;
/** An orphan so old that it counts as lost. */
export const COMMAND_LOST: u8 = 64;
/** An orphan that other I/O waits for. */
export const COMMAND_WANTED: u8 = 128;

/** Commands of a request, linked by their `nextOfRequest`. */
@unmanaged
class RequestCommands {
  first: Command;
  last: Command;

  @inline
  push(item: Command): void {
    listPush(changetype<usize>(this), changetype<usize>(item), offsetof<Command>("nextOfRequest"));
  }

  @inline
  remove(item: Command): void {
    listRemove(changetype<usize>(this), changetype<usize>(item), offsetof<Command>("nextOfRequest"));
  }
}

/** A client's request. */
@unmanaged
export class Request {
  /** What the client calls it, as it came: NBD's cookie (big-endian bytes), the block door's tag. */
  cookie: u64;
  /** First byte and number of bytes, from the header. */
  offset: u64;
  bytes: u32;
  /** OPERATION_*. */
  kind: u16;
  /** OPERATION_FLAG_*, FLAG_* of operations.ts. */
  flags: u16;
  acceptedNs: u64;
  /** Start of its time: its acceptance, or its last progress (long.ts). */
  sinceNs: u64;
  deadlineNs: u64;
  client: Client;
  unit: Unit;
  index: u32;
  /** Errno, 0 when good. */
  error: u32;
  /** The device's sense where the error is its answer; else 0. */
  sense: u32;
  state: u8;
  method: u8;
  /** 1: the client wants FUA but a piece was sent without it: where there is a cache, SYNCHRONIZE CACHE follows. */
  syncAfter: u8;
  blockCount: u8;
  /** How far the request was split into pieces; `total` when all are made. */
  cut: u32;
  total: u32;
  /** Pieces made but not settled. */
  pieces: u32;
  /** Link in the list its state names. */
  next: Request;
  previous: Request;
  /** Link in its unit's list of requests. */
  unitNext: Request;
  unitPrevious: Request;
  /** Its command slots, orphans and kept ones included. */
  commandFirst: usize;
  commandLast: usize;
  /** Kept commands among them (pieces whose data is in a buffer of their own). */
  kept: u32;
  /** Bytes of the buffers it holds. */
  bufferBytes: u32;
  /** What the client asked for; `offset` and `bytes` are what commands cover now: whole blocks, one leg of it (legs.ts). */
  askedOffset: u64;
  askedBytes: u64;
  /** Bytes of its data before the client's, because they are in the same block. */
  lead: u16;
  /** LEG_*; EXCLUSIVE_*. */
  leg: u8;
  exclusive: u8;
  /** Where the present leg's data begins among its own. */
  base: u32;
  /** METHOD_* of its legs of whole blocks, or of all of it. */
  whole: u8;
  /** FLOW_* it waits in. */
  flow: u8;
  /** Extents of a BLOCK_STATUS. */
  extents: u32;
  /** Losses of power that its unit had reported when the first piece was sent that SYNCHRONIZE CACHE has to follow. */
  powerLosses: u32;
  /** How often it was rewritten after such a loss. */
  forcedAgain: u8;
  /** OWN_*: whether its data lies in a buffer of the client's own. */
  own: u8;
  /** How often its time was restarted since it last made progress (memory/deadline.ts). */
  putOffs: u8;

  /** Its command slots. */
  @inline
  get commands(): RequestCommands {
    return changetype<RequestCommands>(changetype<usize>(this) + offsetof<Request>("commandFirst"));
  }
}

export const REQUEST_SLOT_BYTES: usize = 384;
/** Where in a request slot the reply's header is put together. */
export const REQUEST_HEADER: usize = 160;
/** Where the addresses of its data blocks are: one for each MiB of whole blocks, and one for edges that are read. */
export const REQUEST_BLOCKS: usize = 224;
export const REQUEST_BLOCKS_MAX: u32 = 34;

/** Its data lies in the pool. */
export const OWN_NOT: u8 = 0;
/** Its data lies in its client's memory. */
export const OWN_YES: u8 = 1;
/** The same, and it was answered while a command still had it: the client is told when it is back. */
export const OWN_HELD: u8 = 2;
/** It is back, and its client is to be told. */
export const OWN_BACK: u8 = 3;

/** Its slot has no request. */
export const REQUEST_FREE: u8 = 0;
/** Its payload is still coming in. */
export const REQUEST_RECEIVING: u8 = 1;
/** In its unit's `queue`: pieces are still to be made. */
export const REQUEST_QUEUED: u8 = 2;
/** In its unit's `held` list: an orphan overlaps it. */
export const REQUEST_HELD: u8 = 3;
/** All pieces that may be made now are made; some are not settled yet. In no list of `next`. */
export const REQUEST_FLIGHT: u8 = 4;
/** Its answer is known; it waits for its front end to take it (`answerReady`). */
export const REQUEST_READY: u8 = 5;
/** Its answer is on its way: the host reads its buffers, or the client has a lent one. */
export const REQUEST_SENDING: u8 = 6;
/** Answered or given up; it waits for its last command, or for the client to be told that its buffer is free. */
export const REQUEST_OVER: u8 = 7;
/** In a flow of its client: pieces are still to be made, and flows take turns (flows.ts). */
export const REQUEST_LINED: u8 = 8;

/** How a request is carried out. */
export const METHOD_READ: u8 = 0;
export const METHOD_WRITE: u8 = 1;
export const METHOD_ZERO_WRITE: u8 = 2;
export const METHOD_SAME: u8 = 3;
export const METHOD_SAME_UNMAP: u8 = 4;
export const METHOD_UNMAP: u8 = 5;
export const METHOD_SYNC: u8 = 6;
/** Nothing to do: answered at once. */
export const METHOD_NONE: u8 = 7;
/** GET LBA STATUS. */
export const METHOD_STATUS: u8 = 8;

/** Requests of a client that take turns with those of other clients (flows.ts). */
@unmanaged
export class Flow {
  first: usize;
  last: usize;
  /** Link in its unit's list of flows in which requests wait. */
  next: usize;
  previous: usize;
  /** Bytes it may still send in its turn. */
  deficit: u32;

  /** What waits in it. */
  @inline
  get requests(): List<Request> {
    return changetype<List<Request>>(changetype<usize>(this) + offsetof<Flow>("first"));
  }
}

export const FLOW_BYTES: usize = 20;
const FLOW_COUNT: usize = 3;

/** Who sent the request: a client of one of the front ends. All that a request knows of its origin is here. */
@unmanaged
export class Client {
  /** Unique among all front ends' clients. */
  index: u32;
  unit: Unit;
  /** Requests whose answer has not left yet. */
  requests: u32;
  /** Pool bytes of those. */
  bytesHeld: u32;
  /** Link in the list of clients that wait for room. */
  waitNext: usize;
  waitPrevious: usize;
  /** CLIENT_*: the front end it belongs to. */
  kind: u8;
  /** 1: nobody reads its answers any more. */
  gone: u8;
  /** WAITING_* of room.ts. */
  waiting: u8;
  spare: u8;
  spare1: u32;
  /** Its flows: FLOW_COUNT records. */
  flows0: u64;
  flows1: u64;
  flows2: u64;
  flows3: u64;
  flows4: u64;
  flows5: u64;
  flows6: u64;
  flows7: u32;
}

/** Kinds of clients. */
export const CLIENT_NBD: u8 = 0;
export const CLIENT_BLOCK: u8 = 1;

/** An NBD connection in its transmission phase. */
@unmanaged
export class Connection extends Client {
  socket: u32;
  /** Its number among connections. */
  number: u32;
  flags: u32;
  receiveBuffer: usize;
  /** Bytes begin..end of the receive buffer have arrived and are not parsed. */
  begin: u32;
  end: u32;
  /** The write whose payload is being received, if any; and how many bytes of it have arrived. */
  payload: Request;
  payloadBytes: u32;
  /** Payload bytes to discard, and the answer afterwards. */
  drainBytes: u32;
  drainError: u32;
  drainKind: u32;
  drainCookie: u64;
  drainOffset: u64;
  readyFirst: usize;
  readyLast: usize;
  sendingFirst: usize;
  sendingLast: usize;
  gather: usize;
  /** Link in the list of connections with work to do at the end of the turn. */
  dirtyNext: usize;
  dirtyPrevious: usize;
  /** When it began to wait for room, or to receive a payload; for the rule against clients that hold buffers. */
  progressNs: u64;
  error: i32;
  sendBytes: u32;
  receiving: u8;
  sending: u8;
  /** 1: the client's disconnection will be reported. */
  watching: u8;
  state: u8;
  dirty: u8;
  /** Counts submissions; the tag of each pending one carries its own. */
  generation: u8;
  receiveGeneration: u8;
  sendGeneration: u8;
  watchGeneration: u8;
  closeGeneration: u8;

  /** Requests whose reply may leave. */
  @inline
  get readyRequests(): List<Request> {
    return changetype<List<Request>>(changetype<usize>(this) + offsetof<Connection>("readyFirst"));
  }

  /** Requests whose reply the host sends. */
  @inline
  get sendingRequests(): List<Request> {
    return changetype<List<Request>>(changetype<usize>(this) + offsetof<Connection>("sendingFirst"));
  }
}

export const CONNECTION_RECORD_BYTES: usize = 256;

export const CONNECTION_FREE: u8 = 0;
export const CONNECTION_OPEN: u8 = 1;
/** No more requests follow (DISC); it closes when the last reply has left. */
export const CONNECTION_DRAINING: u8 = 2;
/** CLOSE is due or pending; replies are dropped, requests were given up. */
export const CONNECTION_CLOSING: u8 = 3;
/** The host has closed the socket. */
export const CONNECTION_CLOSED: u8 = 4;

/** What a pending RECV fills. */
export const RECEIVING_NOTHING: u8 = 0;
export const RECEIVING_HEADERS: u8 = 1;
export const RECEIVING_PAYLOAD: u8 = 2;

/** Compares the classes with abi.ts. */
export function checkRecords(): void {
  assert(offsetof<Command>("buffer") === COMMAND_BUFFER && offsetof<Command>("residual") === COMMAND_RESIDUAL);
  assert(offsetof<Command>("timeoutMs") === COMMAND_TIMEOUT_MS && offsetof<Command>("sense0") === COMMAND_SENSE);
  assert(offsetof<Command>("timeNs") === COMMAND_PRIVATE && offsetof<Command>() <= COMMAND_SLOT_BYTES);
  assert(offsetof<Request>() <= REQUEST_HEADER && REQUEST_BLOCKS + 4 * REQUEST_BLOCKS_MAX <= REQUEST_SLOT_BYTES);
  assert(offsetof<Flow>() <= FLOW_BYTES && offsetof<Client>("flows0") + FLOW_COUNT * FLOW_BYTES <= offsetof<Client>());
  assert(offsetof<Connection>() <= CONNECTION_RECORD_BYTES);
}
