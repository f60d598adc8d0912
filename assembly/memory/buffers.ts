// The pool of data buffers: a buddy allocator over 4 KiB pages, blocks of 4 KiB to 1 MiB, every block aligned to its
// own size within the pool and therefore to a page.
//
// Who owns a buffer: the request that took it, until its reply has left and no command can touch it any more. This code never
// writes into a buffer; the bookkeeping is in a separate table.
//
// Freed blocks first go to a short list for their size and are merged with their buddies only when a larger block is needed: at a
// steady load, taking and returning a buffer is a pop and a push.

import { BUFFER_PAGE_BYTES, PIECE_BYTES_MAX } from "../abi";

/** Sizes: 4 KiB << 0 .. 4 KiB << 8. */
const ORDERS: u32 = 9;
const ORDER_MAX: u32 = ORDERS - 1;
/** State of the first page of a block; pages inside a block are INNER. */
const INNER: u8 = 0;
const TAKEN: u8 = 1;
const QUICK: u8 = 2;
const FREE: u8 = 3;

/** What is known of one page. `next` and `previous` are page numbers plus one; 0 is none. */
@unmanaged
class Page {
  next: u32;
  previous: u32;
  order: u8;
  state: u8;
  spare: u16;
}

const PAGE_RECORD_BYTES: usize = 12;
const lists: usize = memory.data(4 * 9, 8);
const quickLists: usize = memory.data(4 * 9, 8);
let pool: usize = 0;
let pages: usize = 0;
let pageCount: u32 = 0;
/** Where the host sees how many bytes belong to no request. */
let freeAt: usize = 0;

/** Bytes of bookkeeping that a pool of `poolBytes` needs. */
export function buffersTableBytes(poolBytes: u32): usize {
  return <usize>(poolBytes / BUFFER_PAGE_BYTES) * PAGE_RECORD_BYTES;
}

/** Sets the pool up: `poolBytes` is a multiple of PIECE_BYTES_MAX, `table` is zeroed memory; at `free` the host sees what is free. */
export function buffersInit(base: usize, poolBytes: u32, table: usize, free: usize): void {
  assert(base % BUFFER_PAGE_BYTES === 0 && poolBytes % PIECE_BYTES_MAX === 0);
  pool = base;
  pages = table;
  pageCount = poolBytes / BUFFER_PAGE_BYTES;
  freeAt = free;
  store<u32>(freeAt, poolBytes);
  for (let page: u32 = pageCount; page > 0; page -= 1 << ORDER_MAX)
    push(lists, page - (1 << ORDER_MAX), ORDER_MAX, FREE);
}

/** Bytes that belong to no request. */
export function buffersFree(): u32 {
  return load<u32>(freeAt);
}

/** The size of the block that `bytes` (1 .. PIECE_BYTES_MAX) take. */
export function bufferBlockBytes(bytes: u32): u32 {
  return BUFFER_PAGE_BYTES << orderOf(bytes);
}

/** Takes a block of at least `bytes` (1 .. PIECE_BYTES_MAX); 0 when there is none. */
export function bufferTake(bytes: u32): usize {
  assert(bytes !== 0 && bytes <= PIECE_BYTES_MAX);
  const order = orderOf(bytes);
  let page = pop(quickLists, order);
  if (page < 0) page = split(order);
  if (page < 0 && buffersFree() >= BUFFER_PAGE_BYTES << order) {
    merge();
    page = split(order);
  }
  if (page < 0) return 0;
  const record = pageAt(<u32>page);
  record.state = TAKEN;
  record.order = <u8>order;
  store<u32>(freeAt, buffersFree() - (BUFFER_PAGE_BYTES << order));
  return pool + <usize>page * BUFFER_PAGE_BYTES;
}

/** Returns a block. */
export function bufferGive(address: usize): void {
  const page = <u32>((address - pool) / BUFFER_PAGE_BYTES);
  assert(address >= pool && page < pageCount);
  const record = pageAt(page);
  assert(record.state === TAKEN);
  store<u32>(freeAt, buffersFree() + (BUFFER_PAGE_BYTES << (<u32>record.order)));
  push(quickLists, page, record.order, QUICK);
}

function orderOf(bytes: u32): u32 {
  return bytes <= BUFFER_PAGE_BYTES ? 0 : 20 - clz(bytes - 1);
}

function pageAt(page: u32): Page {
  return changetype<Page>(pages + <usize>page * PAGE_RECORD_BYTES);
}

function push(list: usize, page: u32, order: u32, state: u8): void {
  const record = pageAt(page);
  const first = load<u32>(list + order * 4);
  record.next = first;
  record.previous = 0;
  record.order = <u8>order;
  record.state = state;
  if (first !== 0) pageAt(first - 1).previous = page + 1;
  store<u32>(list + order * 4, page + 1);
}

function pop(list: usize, order: u32): i32 {
  const first = load<u32>(list + order * 4);
  if (first === 0) return -1;
  unlink(list, first - 1);
  return <i32>(first - 1);
}

function unlink(list: usize, page: u32): void {
  const record = pageAt(page);
  if (record.previous === 0) store<u32>(list + <u32>record.order * 4, record.next);
  else pageAt(record.previous - 1).next = record.next;
  if (record.next !== 0) pageAt(record.next - 1).previous = record.previous;
  record.state = INNER;
}

/** Takes a block of exactly `order`, splitting a larger one where needed; -1 when there is none. */
function split(order: u32): i32 {
  let at = order;
  while (at < ORDERS && load<u32>(lists + at * 4) === 0) at++;
  if (at === ORDERS) return -1;
  const page = pop(lists, at);
  while (at > order) {
    at--;
    push(lists, <u32>page + (1 << at), at, FREE);
  }
  return page;
}

/** Merges everything in the quick lists with its buddies. */
function merge(): void {
  for (let order: u32 = 0; order < ORDERS; order++) {
    for (let page = pop(quickLists, order); page >= 0; page = pop(quickLists, order)) mergeOne(<u32>page, order);
  }
}

function mergeOne(page: u32, order: u32): void {
  while (order < ORDER_MAX) {
    const buddy = page ^ (1 << order);
    const record = pageAt(buddy);
    if (record.state !== FREE || <u32>record.order !== order) break;
    unlink(lists, buddy);
    page &= ~(1 << order);
    order++;
  }
  push(lists, page, order, FREE);
}
