// The ring of the block door's completions. It cannot overflow: an entry is taken only if there is room for every completion that
// the entry, and everything already under way, can cause.

import {
  BLOCK_COMPLETION_ADDRESS,
  BLOCK_COMPLETION_BYTES,
  BLOCK_COMPLETION_CLIENT,
  BLOCK_COMPLETION_ERROR,
  BLOCK_COMPLETION_FLAGS,
  BLOCK_COMPLETION_KIND,
  BLOCK_COMPLETION_LENGTH,
  BLOCK_COMPLETION_TAG,
  BLOCK_REFUSED,
  CONTROL_BLOCK_COMPLETIONS,
  RING_BASE,
  RING_CAPACITY,
  RING_HEAD,
  RING_TAIL,
} from "../../abi";
import { control } from "../../memory/memory";

/** Most completions of one request: FETCH and ANSWER, or ANSWER and RETURNED. */
const COMPLETIONS_MAX: u32 = 2;
/** Tags in use, of all clients. */
let tagsInUse: u32 = 0;

/** Whether an entry may be taken: `COMPLETIONS_MAX` for each tag in use, and for one more. */
export function roomToTell(): bool {
  const ring = control + <usize>CONTROL_BLOCK_COMPLETIONS;
  const used = load<u32>(ring + RING_TAIL) - load<u32>(ring + RING_HEAD);
  assert(used <= load<u32>(ring + RING_CAPACITY));
  return used + COMPLETIONS_MAX * (tagsInUse + 1) <= load<u32>(ring + RING_CAPACITY);
}

/** A tag is in use from now on. */
export function tagUsed(): void {
  tagsInUse++;
}

/** A tag is free again. */
export function tagUnused(): void {
  assert(tagsInUse !== 0);
  tagsInUse--;
}

/** Tells the embedder. */
export function tell(tag: u32, client: u32, kind: u32, error: u32, flags: u32, address: usize, bytes: u32): void {
  const ring = control + <usize>CONTROL_BLOCK_COMPLETIONS;
  const tail = load<u32>(ring + RING_TAIL);
  const capacity = load<u32>(ring + RING_CAPACITY);
  assert(tail - load<u32>(ring + RING_HEAD) < capacity);
  const at = <usize>load<u32>(ring + RING_BASE) + <usize>(tail & (capacity - 1)) * BLOCK_COMPLETION_BYTES;
  store<u32>(at + BLOCK_COMPLETION_TAG, tag);
  store<u32>(at + BLOCK_COMPLETION_ERROR, error);
  store<u32>(at + BLOCK_COMPLETION_KIND, kind | (flags << (8 * (BLOCK_COMPLETION_FLAGS - BLOCK_COMPLETION_KIND))));
  store<u32>(at + BLOCK_COMPLETION_ADDRESS, <u32>address);
  store<u32>(at + BLOCK_COMPLETION_LENGTH, bytes);
  store<u32>(at + BLOCK_COMPLETION_CLIENT, client);
  store<u32>(ring + RING_TAIL, tail + 1);
}

/** An entry was wrong. */
export function refuse(tag: u32, client: u32, error: u32): void {
  tell(tag, client, BLOCK_REFUSED, error, 0, 0, 0);
}
