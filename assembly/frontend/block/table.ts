// The block door's records: clients and tags, laid out once (docs/block-door.md).
//
// Who owns what: a tag belongs to the embedder while it is TAG_FREE, and to the core from its entry until it is free again. A
// request's buffer in the embedder's region is the core's from the entry until the answer, or until RETURNED where the answer
// says HELD. A lent buffer is the embedder's from FETCH or ANSWER until FETCHED or RELEASE, whatever happens to its client meanwhile.

import {
  BLOCK_CLIENTS_MAX,
  BLOCK_COMPLETION_BYTES,
  BLOCK_ENTRY_BYTES,
  BLOCK_TAGS_MAX,
  CONTROL_BLOCK_COMPLETIONS,
  CONTROL_BLOCK_ENTRIES,
  ERROR_BUSY,
  ERROR_RANGE,
  RING_BASE,
  RING_CAPACITY,
} from "../../abi";
import { List, listPush, listShift } from "../../memory/lists";
import { connectionCount, control, laidOut, layOutMore, listAll } from "../../memory/memory";
import { CLIENT_BLOCK, Client, Request } from "../../memory/records";

/** A client of the block door: who asks for I/O on one unit. */
@unmanaged
export class BlockClient extends Client {
  handle: u32;
  /** BLOCK_READ_ONLY. */
  flags: u32;
  /** Tags it has in use. */
  tags: u32;
  /** Tags that wait for room, in order. */
  pendingFirst: usize;
  pendingLast: usize;
  /** Link in the list of free clients. */
  freeNext: usize;
  freePrevious: usize;
  state: u8;

  /** Tags that wait for room, in order. */
  @inline
  get pending(): List<Tag> {
    return changetype<List<Tag>>(changetype<usize>(this) + offsetof<BlockClient>("pendingFirst"));
  }
}

const CLIENT_BYTES: usize = 128;

export const BLOCK_CLIENT_FREE: u8 = 0;
export const BLOCK_CLIENT_OPEN: u8 = 1;
/** Closed; something of it is still under way or lent. */
export const BLOCK_CLIENT_CLOSING: u8 = 2;

/** What is known of a tag. */
@unmanaged
export class Tag {
  client: BlockClient;
  request: Request;
  /** The entry. */
  offset: u64;
  bytes: u64;
  buffer: u32;
  /** Link in its client's list of those that wait for room. */
  next: usize;
  previous: usize;
  kind: u8;
  flags: u8;
  state: u8;
}

const TAG_BYTES: usize = 40;

/** Records of clients that are free, linked by their `freeNext`. */
@unmanaged
class FreeClients {
  first: BlockClient;
  last: BlockClient;

  @inline
  push(item: BlockClient): void {
    listPush(changetype<usize>(this), changetype<usize>(item), offsetof<BlockClient>("freeNext"));
  }

  /** Takes the first record out; none (0) when the list is empty. */
  @inline
  shift(): BlockClient {
    return changetype<BlockClient>(listShift(changetype<usize>(this), offsetof<BlockClient>("freeNext")));
  }
}

export const TAG_FREE: u8 = 0;
/** It waits for room. */
export const TAG_PENDING: u8 = 1;
/** A WRITE: the embedder puts its data into the buffer it was lent. */
export const TAG_FETCHING: u8 = 2;
export const TAG_ACTIVE: u8 = 3;
/** A READ, answered: the embedder takes its data from the buffer it was lent. */
export const TAG_LENT: u8 = 4;
/** Answered; a command may still touch its own buffer. */
export const TAG_HELD: u8 = 5;

/** A handle is the number of the client's record, and how often that was opened. */
export const HANDLE_INDEX_BITS: u32 = 12;
export const HANDLE_INDEX_MASK: u32 = (1 << HANDLE_INDEX_BITS) - 1;
/** What is left of 31 bits: a handle is never negative. */
export const HANDLE_GENERATION_MASK: u32 = (1 << (31 - HANDLE_INDEX_BITS)) - 1;

export let clientCount: u32 = 0;
export let tagCount: u32 = 0;
/** The embedder's region: 0 and 0 when it has none. */
export let region: usize = 0;
export let regionBytes: u32 = 0;
let clients: usize = 0;
let tags: usize = 0;
export const clientsFree = changetype<FreeClients>(memory.data(8, 8));

const FREE: usize = offsetof<BlockClient>("freeNext");
const PAGE: u64 = 4096;

export function clientAt(index: u32): BlockClient {
  return changetype<BlockClient>(clients + <usize>index * CLIENT_BYTES);
}

/** The tag with this number; the caller knows that it is in range. */
export function tagAt(number: u32): Tag {
  return changetype<Tag>(tags + <usize>number * TAG_BYTES);
}

/** The number of a tag. */
export function tagNumber(tag: Tag): u32 {
  return <u32>((changetype<usize>(tag) - tags) / TAG_BYTES);
}

/** Entries in the ring: each tag can have one that uses it, and one that returns its buffer. */
function entriesOf(tagLimit: u32): u32 {
  return 2 << (32 - clz(tagLimit - 1));
}

function paged(bytes: u64): u64 {
  return (bytes + PAGE - 1) & ~(PAGE - 1);
}

/** See docs/block-door.md, `blockInit`. */
export function blockLayOut(clientLimit: u32, tagLimit: u32, regionLimit: u32): i32 {
  assert(offsetof<BlockClient>() <= CLIENT_BYTES && offsetof<Tag>() <= TAG_BYTES);
  if (!laidOut() || clientCount !== 0) return -(<i32>ERROR_BUSY);
  if (clientLimit === 0 || clientLimit > BLOCK_CLIENTS_MAX || tagLimit === 0 || tagLimit > BLOCK_TAGS_MAX) {
    return -(<i32>ERROR_RANGE);
  }
  if (regionLimit > 0x80000000) return -(<i32>ERROR_RANGE);
  const entries = entriesOf(tagLimit);
  const completions = 2 * entries;
  const clientBytes = paged(<u64>clientLimit * CLIENT_BYTES);
  const tagBytes = paged(<u64>tagLimit * TAG_BYTES);
  const entryBytes = paged(<u64>entries * BLOCK_ENTRY_BYTES);
  const completionBytes = paged(<u64>completions * BLOCK_COMPLETION_BYTES);
  const base = layOutMore(clientBytes + tagBytes + entryBytes + completionBytes + <u64>regionLimit);
  if (base === 0) return -(<i32>ERROR_RANGE);
  clients = base;
  tags = clients + <usize>clientBytes;
  const entryRing = tags + <usize>tagBytes;
  const completionRing = entryRing + <usize>entryBytes;
  if (regionLimit !== 0) region = completionRing + <usize>completionBytes;
  regionBytes = regionLimit;
  clientCount = clientLimit;
  tagCount = tagLimit;
  ring(CONTROL_BLOCK_ENTRIES, entryRing, entries);
  ring(CONTROL_BLOCK_COMPLETIONS, completionRing, completions);
  for (let i: u32 = 0; i < clientCount; i++) {
    const client = clientAt(i);
    client.index = connectionCount + i;
    client.handle = i;
    client.kind = CLIENT_BLOCK;
  }
  listAll(changetype<usize>(clientsFree), clients, clientCount, CLIENT_BYTES, FREE);
  return 0;
}

function ring(descriptor: u32, base: usize, capacity: u32): void {
  store<u32>(control + descriptor + RING_BASE, <u32>base);
  store<u32>(control + descriptor + RING_CAPACITY, capacity);
}
