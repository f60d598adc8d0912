// Clients of the block door: opening and closing.

import {
  BLOCK_ANSWER,
  BLOCK_READ_ONLY,
  ERROR_HANDLE,
  ERROR_LIMIT,
  ERROR_RANGE,
  EVENT_BLOCK_CLOSED,
  UNIT_FLAG_PRESENT,
} from "../../abi";
import { ECANCELED } from "../../memory/errno";
import { listPush, listShift } from "../../memory/lists";
import { unitAt, unitCount } from "../../memory/memory";
import { NONE, event } from "../../memory/ring";
import { waitNoLonger } from "../../request/admission";
import { requestsGiveUp } from "../../request/request";
import {
  BLOCK_CLIENT_CLOSING,
  BLOCK_CLIENT_FREE,
  BLOCK_CLIENT_OPEN,
  BlockClient,
  HANDLE_GENERATION_MASK,
  HANDLE_INDEX_BITS,
  HANDLE_INDEX_MASK,
  TAG_FREE,
  Tag,
  clientAt,
  clientCount,
  clientsFree,
  tagNumber,
} from "./table";
import { tagUnused, tell } from "./tell";

const FREE: usize = offsetof<BlockClient>("freeNext");
const PENDING: usize = offsetof<BlockClient>("pendingFirst");
const TAG_LINK: usize = offsetof<Tag>("next");

/** The open client with this handle; null when there is none. */
export function clientOf(handle: u32): BlockClient {
  const index = handle & HANDLE_INDEX_MASK;
  if (index >= clientCount) return changetype<BlockClient>(0);
  const n = clientAt(index);
  return n.handle === handle && n.state === BLOCK_CLIENT_OPEN ? n : changetype<BlockClient>(0);
}

/** See docs/block-door.md, `blockOpen`. */
export function clientOpen(unit: u32, flags: u32): i32 {
  if (unit >= unitCount || (unitAt(unit).flags & UNIT_FLAG_PRESENT) === 0) return -(<i32>ERROR_HANDLE);
  const u = unitAt(unit);
  if ((flags & ~BLOCK_READ_ONLY) !== 0 || u.blockBytes === 0) return -(<i32>ERROR_RANGE);
  const at = listShift(clientsFree, FREE);
  if (at === 0) return -(<i32>ERROR_LIMIT);
  const n = changetype<BlockClient>(at);
  assert(n.state === BLOCK_CLIENT_FREE && n.requests === 0 && n.tags === 0 && n.bytesHeld === 0);
  // Entries that name an earlier client of this record do not reach this one.
  const generation = ((n.handle >> HANDLE_INDEX_BITS) + 1) & HANDLE_GENERATION_MASK;
  n.handle = (generation << HANDLE_INDEX_BITS) | (n.handle & HANDLE_INDEX_MASK);
  n.state = BLOCK_CLIENT_OPEN;
  n.unit = u;
  n.flags = flags;
  n.gone = 0;
  n.waiting = 0;
  u.connections++;
  return <i32>n.handle;
}

/** See docs/block-door.md, `blockClose`. */
export function clientClose(handle: u32): i32 {
  const n = clientOf(handle);
  if (changetype<usize>(n) === 0) return -(<i32>ERROR_HANDLE);
  waitNoLonger(n);
  n.state = BLOCK_CLIENT_CLOSING;
  n.gone = 1;
  const pending = changetype<usize>(n) + PENDING;
  // The last one to be freed may free the client.
  n.tags++;
  for (let at = listShift(pending, TAG_LINK); at !== 0; at = listShift(pending, TAG_LINK)) {
    const t = changetype<Tag>(at);
    tell(tagNumber(t), handle, BLOCK_ANSWER, ECANCELED, 0, 0, 0);
    tagFree(t);
  }
  requestsGiveUp(n);
  n.tags--;
  clientGone(n);
  return 0;
}

/** A tag's request is over, and everything has been reported. */
export function tagFree(t: Tag): void {
  const n = t.client;
  t.state = TAG_FREE;
  tagUnused();
  n.tags--;
  clientGone(n);
}

/** Frees the record of a closed client when nothing refers to it any more. */
function clientGone(n: BlockClient): void {
  if (n.state !== BLOCK_CLIENT_CLOSING || n.tags !== 0 || n.requests !== 0) return;
  n.state = BLOCK_CLIENT_FREE;
  n.unit.connections--;
  event(EVENT_BLOCK_CLOSED, 0, n.unit.index, NONE, n.handle, 0, 0, 0);
  listPush(clientsFree, changetype<usize>(n), FREE);
}
