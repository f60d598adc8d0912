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

/** The open client with this handle; null when there is none. */
export function clientOf(handle: u32): BlockClient {
  const index = handle & HANDLE_INDEX_MASK;
  if (index >= clientCount) return changetype<BlockClient>(0);
  const client = clientAt(index);
  return client.handle === handle && client.state === BLOCK_CLIENT_OPEN ? client : changetype<BlockClient>(0);
}

/** See docs/block-door.md, `blockOpen`. */
export function clientOpen(handle: u32, flags: u32): i32 {
  if (handle >= unitCount || (unitAt(handle).flags & UNIT_FLAG_PRESENT) === 0) return -(<i32>ERROR_HANDLE);
  const unit = unitAt(handle);
  if ((flags & ~BLOCK_READ_ONLY) !== 0 || unit.blockBytes === 0) return -(<i32>ERROR_RANGE);
  const client = clientsFree.shift();
  if (changetype<usize>(client) === 0) return -(<i32>ERROR_LIMIT);
  assert(client.state === BLOCK_CLIENT_FREE && client.requests === 0 && client.tags === 0 && client.bytesHeld === 0);
  // Entries that name an earlier client of this record do not reach this one.
  const generation = ((client.handle >> HANDLE_INDEX_BITS) + 1) & HANDLE_GENERATION_MASK;
  client.handle = (generation << HANDLE_INDEX_BITS) | (client.handle & HANDLE_INDEX_MASK);
  client.state = BLOCK_CLIENT_OPEN;
  client.unit = unit;
  client.flags = flags;
  client.gone = 0;
  client.waiting = 0;
  unit.connections++;
  return <i32>client.handle;
}

/** See docs/block-door.md, `blockClose`. */
export function clientClose(handle: u32): i32 {
  const client = clientOf(handle);
  if (changetype<usize>(client) === 0) return -(<i32>ERROR_HANDLE);
  waitNoLonger(client);
  client.state = BLOCK_CLIENT_CLOSING;
  client.gone = 1;
  const pending = client.pending;
  // The last one to be freed may free the client.
  client.tags++;
  for (let tag = pending.shift(); changetype<usize>(tag) !== 0; tag = pending.shift()) {
    tell(tagNumber(tag), handle, BLOCK_ANSWER, ECANCELED, 0, 0, 0);
    tagFree(tag);
  }
  requestsGiveUp(client);
  client.tags--;
  clientGone(client);
  return 0;
}

/** A tag's request is over, and everything has been reported. */
export function tagFree(tag: Tag): void {
  const client = tag.client;
  tag.state = TAG_FREE;
  tagUnused();
  client.tags--;
  clientGone(client);
}

/** Frees the record of a closed client when nothing refers to it any more. */
function clientGone(client: BlockClient): void {
  if (client.state !== BLOCK_CLIENT_CLOSING || client.tags !== 0 || client.requests !== 0) return;
  client.state = BLOCK_CLIENT_FREE;
  client.unit.connections--;
  event(EVENT_BLOCK_CLOSED, 0, client.unit.index, NONE, client.handle, 0, 0, 0);
  clientsFree.push(client);
}
