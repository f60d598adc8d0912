// The layout of the core's memory, created once by `layOut` from limits that are checked here. Nothing grows afterwards.
//
// Every command slot, connection and path can have one submission of each kind in the rings, and the rings have an entry for each
// of them: so a ring is never full, which is asserted instead of handled.

import {
  BUFFER_PAGE_BYTES,
  COMPLETION_BYTES,
  CONNECTION_RECEIVE_BYTES,
  CONTROL_ARRAY_QUEUE,
  CONTROL_BYTES,
  CONTROL_COMPLETION_QUEUE,
  CONTROL_EVENT_QUEUE,
  CONTROL_NATIVE_QUEUE,
  ERROR_BUSY,
  ERROR_RANGE,
  EVENT_BYTES,
  GATHER_BYTES,
  GATHER_ENTRIES_MAX,
  NBD_PAYLOAD_BYTES_MAX,
  PATH_BYTES,
  PIECE_BYTES_MAX,
  RING_BASE,
  RING_CAPACITY,
  SCRATCH_BYTES,
  CONTROL_POOL_FREE,
  STATISTICS_BYTES,
  STATISTICS_UNIT_BYTES,
  SUBMISSION_BYTES,
  UNIT_BYTES,
} from "../abi";
import { SELECTION_BYTES, Selection } from "../selection/selection";
import { buffersInit, buffersTableBytes } from "./buffers";
import { listPush } from "./lists";
import {
  COMMAND_SLOT_BYTES,
  CONNECTION_RECORD_BYTES,
  Command,
  Connection,
  REQUEST_SLOT_BYTES,
  checkRecords,
} from "./records";
import { timersBytes, timersInit } from "./timers";
import { Path, Unit, checkTopology } from "./topology";

/** Largest values `init` takes. Tags have 20 bits for an index; path check slots share them with commands. */
const CONNECTIONS_MAX: u32 = 4096;
const REQUESTS_MAX: u32 = 65536;
const COMMANDS_MAX: u32 = 65536;
const UNITS_MAX: u32 = 8192;
const PATHS_MAX: u32 = 65536;
const EVENTS_MAX: u32 = 65536;
const POOL_BYTES_MAX: u32 = 2147483648;
/** Smallest limit of one payload. */
const PAYLOAD_BYTES_MIN: u32 = 4096;
const EVENTS_MIN: u32 = 16;
/** Upper bound of what alignment and rounding to powers of two can add to the sum of the tables. */
const ROUNDING_BYTES_MAX: u64 = 64 << 20;
const WASM_PAGE_BYTES: usize = 65536;

/** The core's memory may not extend beyond this address. */
const MEMORY_BYTES_MAX: u64 = 0xf0000000;

/** The control block; valid from the start. */
export const control: usize = memory.data(192, 64);
const CONTROL_ROOM: u32 = 192;

export let connectionCount: u32 = 0;
export let requestCount: u32 = 0;
export let commandCount: u32 = 0;
export let unitCount: u32 = 0;
export let pathCount: u32 = 0;
export let poolBytes: u32 = 0;
/** Largest payload of one request; the pool has room for it. */
export let payloadBytesMax: u32 = 0;
export let connections: usize = 0;
export let requests: usize = 0;
/** Command slots; behind the `commandCount` for I/O there is one for each path's checks. */
export let commands: usize = 0;
export let units: usize = 0;
export let paths: usize = 0;
export let scratchArea: usize = 0;
/**
 * Pages for the data of checks: one for each path, and one more, because a path's next check may be sent while the last one is
 * being handled. Free pages are kept on a stack.
 */
let checkPages: usize = 0;
let checkPagesFree: usize = 0;
export let checkPagesFreeCount: u32 = 0;
/** PIECE_BYTES_MAX zero bytes that nothing ever writes. */
export let zeroes: usize = 0;
let end: usize = 0;

/** Takes `bytes` from the layout, aligned to `alignment` (a power of two). Only while laying out. */
function reserve(bytes: usize, alignment: usize): usize {
  const address = (end + alignment - 1) & ~(alignment - 1);
  end = address + bytes;
  return address;
}

/**
 * Lays out the memory. Limits: connections 0..4096, requests 1..65536, commands 1..65536, pool 1 MiB..2 GiB (rounded
 * down to MiB), units 1..8192, paths 1..65536, events 16..65536 (rounded up to a power of two), payload of one request
 * 4 KiB..NBD_PAYLOAD_BYTES_MAX (one of that size has to fit into the pool). Returns 0; ERROR_RANGE if a limit is out of range or there is not enough
 * memory; ERROR_BUSY if it was laid out before.
 */
export function layOut(
  connectionLimit: u32,
  requestLimit: u32,
  commandLimit: u32,
  pool: u32,
  unitLimit: u32,
  pathLimit: u32,
  eventLimit: u32,
  payloadLimit: u32,
): i32 {
  checkRecords();
  checkTopology();
  if (unitCount !== 0) return -(<i32>ERROR_BUSY);
  const pooled = pool & ~(PIECE_BYTES_MAX - 1);
  const bad =
    connectionLimit > CONNECTIONS_MAX ||
    outside(requestLimit, REQUESTS_MAX) ||
    outside(commandLimit, COMMANDS_MAX) ||
    outside(unitLimit, UNITS_MAX) ||
    outside(pathLimit, PATHS_MAX) ||
    outside(eventLimit, EVENTS_MAX) ||
    eventLimit < EVENTS_MIN ||
    payloadLimit < PAYLOAD_BYTES_MIN ||
    payloadLimit > NBD_PAYLOAD_BYTES_MAX ||
    pooled < max(payloadLimit, PIECE_BYTES_MAX) ||
    pool > POOL_BYTES_MAX;
  if (bad) return -(<i32>ERROR_RANGE);
  // Everything is checked before anything changes: sums in 64 bits, against the 32-bit address space.
  const large =
    <u64>connectionLimit * (CONNECTION_RECEIVE_BYTES + <u64>BUFFER_PAGE_BYTES) +
    <u64>requestLimit * REQUEST_SLOT_BYTES +
    <u64>(commandLimit + pathLimit) * (COMMAND_SLOT_BYTES + 2 * SUBMISSION_BYTES + COMPLETION_BYTES) * 2 +
    <u64>unitLimit * (UNIT_BYTES + SELECTION_BYTES + STATISTICS_UNIT_BYTES) +
    <u64>pathLimit * (PATH_BYTES + STATISTICS_BYTES + 4 + <u64>BUFFER_PAGE_BYTES) +
    <u64>eventLimit * EVENT_BYTES * 2 +
    <u64>pooled +
    ROUNDING_BYTES_MAX;
  if (large > MEMORY_BYTES_MAX) return -(<i32>ERROR_RANGE);
  connectionCount = connectionLimit;
  requestCount = requestLimit;
  commandCount = commandLimit;
  poolBytes = pooled;
  payloadBytesMax = payloadLimit;
  unitCount = unitLimit;
  pathCount = pathLimit;
  end = __heap_base;
  const base = place(eventLimit);
  if (!reach(end)) {
    unitCount = 0;
    return -(<i32>ERROR_RANGE);
  }
  buffersInit(base, pooled, bufferTable, control + CONTROL_POOL_FREE);
  timersInit(timerTable, unitCount + pathCount + 1);
  for (let i: u32 = 0; i <= pathCount; i++) checkPageGive(checkPages + <usize>(pathCount - i) * BUFFER_PAGE_BYTES);
  rings(eventLimit);
  return 0;
}

/** Grows the memory up to `address`; false when that is not possible. */
function reach(address: usize): bool {
  const pagesHave = memory.size();
  const pagesWant = <i32>((address + WASM_PAGE_BYTES - 1) / WASM_PAGE_BYTES);
  return pagesWant <= pagesHave || memory.grow(pagesWant - pagesHave) >= 0;
}

/** Whether the memory has been laid out. */
export function laidOut(): bool {
  return unitCount !== 0;
}

/** Adds an area of `bytes` for a front end's tables, on a page, zeroed; 0 if there is no room for it. */
export function layOutMore(bytes: u64): usize {
  const base = (end + BUFFER_PAGE_BYTES - 1) & ~(<usize>BUFFER_PAGE_BYTES - 1);
  if (<u64>base + bytes > MEMORY_BYTES_MAX || !reach(base + <usize>bytes)) return 0;
  end = base + <usize>bytes;
  return base;
}

let bufferTable: usize = 0;
let timerTable: usize = 0;
let nativeRing: usize = 0;
let arrayRing: usize = 0;
let completionRing: usize = 0;
let eventRing: usize = 0;
let gathers: usize = 0;
let receives: usize = 0;
let selections: usize = 0;
let statistics: usize = 0;

function outside(value: u32, max: u32): bool {
  return value === 0 || value > max;
}

function powerOfTwo(value: u32): u32 {
  return value <= 1 ? 1 : 1 << (32 - clz(value - 1));
}

/** Entries of a submission ring: a SCSI command per slot; RECV, SEND, CLOSE, WATCH per connection; a RESET per path. */
function ringEntries(): u32 {
  return powerOfTwo(commandCount + 2 * pathCount + 4 * connectionCount);
}

/** Gives every area its address; returns the address of the buffer pool. */
function place(eventLimit: u32): usize {
  units = reserve(<usize>unitCount * UNIT_BYTES, 64);
  selections = reserve(<usize>unitCount * SELECTION_BYTES, 64);
  statistics = reserve(<usize>unitCount * STATISTICS_UNIT_BYTES + <usize>pathCount * STATISTICS_BYTES, 64);
  paths = reserve(<usize>pathCount * PATH_BYTES, 64);
  requests = reserve(<usize>requestCount * REQUEST_SLOT_BYTES, 64);
  commands = reserve(<usize>(commandCount + pathCount) * COMMAND_SLOT_BYTES, 64);
  connections = reserve(<usize>connectionCount * CONNECTION_RECORD_BYTES, 64);
  gathers = reserve(<usize>connectionCount * GATHER_ENTRIES_MAX * GATHER_BYTES, 64);
  nativeRing = reserve(<usize>ringEntries() * SUBMISSION_BYTES, 64);
  arrayRing = reserve(<usize>ringEntries() * SUBMISSION_BYTES, 64);
  completionRing = reserve(<usize>ringEntries() * 2 * COMPLETION_BYTES, 64);
  eventRing = reserve(<usize>powerOfTwo(eventLimit) * EVENT_BYTES, 64);
  timerTable = reserve(timersBytes(unitCount + pathCount + 1), 64);
  bufferTable = reserve(buffersTableBytes(poolBytes), 64);
  checkPagesFree = reserve((<usize>pathCount + 1) * 4, 64);
  scratchArea = reserve(SCRATCH_BYTES, BUFFER_PAGE_BYTES);
  receives = reserve(<usize>connectionCount * CONNECTION_RECEIVE_BYTES, BUFFER_PAGE_BYTES);
  checkPages = reserve((<usize>pathCount + 1) * BUFFER_PAGE_BYTES, BUFFER_PAGE_BYTES);
  zeroes = reserve(PIECE_BYTES_MAX, BUFFER_PAGE_BYTES);
  return reserve(poolBytes, BUFFER_PAGE_BYTES);
}

function ring(descriptor: u32, base: usize, capacity: u32): void {
  store<u32>(control + descriptor + RING_BASE, <u32>base);
  store<u32>(control + descriptor + RING_CAPACITY, capacity);
}

function rings(eventLimit: u32): void {
  assert(CONTROL_BYTES === CONTROL_ROOM);
  ring(CONTROL_NATIVE_QUEUE, nativeRing, ringEntries());
  ring(CONTROL_ARRAY_QUEUE, arrayRing, ringEntries());
  ring(CONTROL_COMPLETION_QUEUE, completionRing, ringEntries() * 2);
  ring(CONTROL_EVENT_QUEUE, eventRing, powerOfTwo(eventLimit));
}

/** The unit with this handle; the caller knows that it is in range. */
export function unitAt(handle: u32): Unit {
  return changetype<Unit>(units + <usize>handle * UNIT_BYTES);
}

/** The path with this handle; the caller knows that it is in range. */
export function pathAt(handle: u32): Path {
  return changetype<Path>(paths + <usize>handle * PATH_BYTES);
}

/** Command slot `index`; from `commandCount` on they are the paths' check slots. */
export function commandAt(index: u32): Command {
  return changetype<Command>(commands + <usize>index * COMMAND_SLOT_BYTES);
}

export function connectionAt(index: u32): Connection {
  return changetype<Connection>(connections + <usize>index * CONNECTION_RECORD_BYTES);
}

/** The gather table of a connection. */
export function gatherOf(index: u32): usize {
  return gathers + <usize>index * GATHER_ENTRIES_MAX * GATHER_BYTES;
}

/**
 * A page for the data of one check. The page returned last is reused first: thousands of paths are checked with the few pages
 * that are in use at the same time, and the others take no memory. There is always one.
 */
export function checkPageTake(): usize {
  assert(checkPagesFreeCount !== 0);
  checkPagesFreeCount--;
  return load<u32>(checkPagesFree + ((<usize>checkPagesFreeCount) << 2));
}

export function checkPageGive(page: usize): void {
  assert(checkPagesFreeCount <= pathCount && page >= checkPages);
  store<u32>(checkPagesFree + ((<usize>checkPagesFreeCount) << 2), <u32>page);
  checkPagesFreeCount++;
}

/** The receive buffer of a connection. */
export function receiveBufferOf(index: u32): usize {
  return receives + <usize>index * CONNECTION_RECEIVE_BYTES;
}

/** What the policies know of a unit. */
export function selectionOf(index: u32): Selection {
  return changetype<Selection>(selections + <usize>index * SELECTION_BYTES);
}

/** The statistics record of a unit. */
export function unitStatistics(index: u32): usize {
  return statistics + <usize>index * STATISTICS_UNIT_BYTES;
}

/** The statistics record of a path. */
export function pathStatistics(index: u32): usize {
  return statistics + <usize>unitCount * STATISTICS_UNIT_BYTES + <usize>index * STATISTICS_BYTES;
}

/** Puts every record of a table on a free list, in order. */
export function listAll(list: usize, base: usize, count: u32, bytes: usize, link: usize): void {
  for (let i: u32 = 0; i < count; i++) listPush(list, base + <usize>i * bytes, link);
}
