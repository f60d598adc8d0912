// Entries of the block door: their validation, and the requests made from them.

import {
  BLOCK_ANSWER,
  BLOCK_BYTES_MAX,
  BLOCK_ENTRY_BUFFER,
  BLOCK_ENTRY_BYTES,
  BLOCK_ENTRY_CLIENT,
  BLOCK_ENTRY_FLAGS,
  BLOCK_ENTRY_LENGTH,
  BLOCK_ENTRY_OFFSET,
  BLOCK_ENTRY_OPERATION,
  BLOCK_ENTRY_TAG,
  BLOCK_FETCH,
  BLOCK_FETCHED,
  BLOCK_READ_ONLY,
  BLOCK_RELEASE,
  BUFFER_PAGE_BYTES,
  CONTROL_BLOCK_ENTRIES,
  OPERATION_FLAG_FAST_ZERO,
  OPERATION_FLAG_FUA,
  OPERATION_FLAG_NO_HOLE,
  OPERATION_FLUSH,
  OPERATION_READ,
  OPERATION_TRIM,
  OPERATION_WRITE,
  OPERATION_WRITE_ZEROES,
  RING_BASE,
  RING_CAPACITY,
  RING_HEAD,
  RING_TAIL,
  UNIT_CAN_NOT_WRITE,
} from "../../abi";
import { EBUSY, ECANCELED, EFAULT, EINVAL, ENODEV, ENOENT, ENOTSUP, EOVERFLOW, EPERM } from "../../memory/errno";
import { control, payloadBytesMax } from "../../memory/memory";
import { METHOD_ZERO_WRITE } from "../../memory/records";
import { statisticsError } from "../../memory/statistics";
import { mayTake, waitForRoom } from "../../request/admission";
import { dataBytes, requestCover, requestFill } from "../../request/cover";
import { methodOf, pastEnd, zeroMethod } from "../../request/method";
import { requestBlock, requestOwnBuffer, requestTake } from "../../request/pool";
import { requestAccept } from "../../request/request";
import { over } from "./answers";
import { clientOf, tagFree } from "./client";
import {
  BlockClient,
  TAG_ACTIVE,
  TAG_FETCHING,
  TAG_FREE,
  TAG_LENT,
  TAG_PENDING,
  Tag,
  region,
  regionBytes,
  tagAt,
  tagCount,
  tagNumber,
} from "./table";
import { refuse, roomToTell, tagUsed, tell } from "./tell";

/** Takes the embedder's entries while there is room for their completions. */
export function blockEntries(): void {
  const ring = control + <usize>CONTROL_BLOCK_ENTRIES;
  const tail = load<u32>(ring + RING_TAIL);
  let head = load<u32>(ring + RING_HEAD);
  if (head === tail) return;
  const capacity = load<u32>(ring + RING_CAPACITY);
  // More entries than the ring holds: some were overwritten, and their content is lost.
  assert(tail - head <= capacity);
  const base = <usize>load<u32>(ring + RING_BASE);
  for (; head !== tail && roomToTell(); head++) entry(base + <usize>(head & (capacity - 1)) * BLOCK_ENTRY_BYTES);
  store<u32>(ring + RING_HEAD, head);
}

function entry(at: usize): void {
  const kind = <u32>load<u8>(at + BLOCK_ENTRY_OPERATION);
  const number = load<u32>(at + BLOCK_ENTRY_TAG);
  const handle = load<u32>(at + BLOCK_ENTRY_CLIENT);
  if (number >= tagCount) return refuse(number, handle, EINVAL);
  const tag = tagAt(number);
  if (kind === BLOCK_FETCHED || kind === BLOCK_RELEASE) return givenBack(tag, kind, number, handle);
  const client = clientOf(handle);
  if (changetype<usize>(client) === 0) return refuse(number, handle, ENODEV);
  if (tag.state !== TAG_FREE) return refuse(number, handle, EBUSY);
  tag.kind = <u8>kind;
  tag.flags = load<u8>(at + BLOCK_ENTRY_FLAGS);
  tag.buffer = load<u32>(at + BLOCK_ENTRY_BUFFER);
  tag.offset = load<u64>(at + BLOCK_ENTRY_OFFSET);
  tag.bytes = load<u64>(at + BLOCK_ENTRY_LENGTH);
  const error = check(client, tag);
  if (error !== 0) {
    failed(client);
    return refuse(number, handle, error);
  }
  tag.client = client;
  tag.state = TAG_PENDING;
  client.tags++;
  tagUsed();
  if (client.pendingFirst !== 0 || !take(client, tag, number)) client.pending.push(tag);
}

/** An error found before a request exists is counted in the unit's statistics like any other. */
function failed(client: BlockClient): void {
  client.unit.failed++;
  statisticsError(client.unit.statistics);
}

/** There may be room for a client's next requests. */
export function clientResume(client: BlockClient): void {
  while (client.pendingFirst !== 0) {
    const tag = client.pending.first;
    const number = tagNumber(tag);
    // The unit may have changed since.
    const error = check(client, tag);
    if (error === 0 && !take(client, tag, number)) return;
    client.pending.remove(tag);
    if (error === 0) continue;
    failed(client);
    tell(number, client.handle, BLOCK_ANSWER, error, 0, 0, 0);
    tagFree(tag);
  }
}

/** A lent buffer is returned: filled, used up, or not wanted. */
function givenBack(tag: Tag, kind: u32, number: u32, handle: u32): void {
  const state = tag.state;
  const fits = state === TAG_FETCHING || (state === TAG_LENT && kind === BLOCK_RELEASE);
  if (!fits || tag.client.handle !== handle) return refuse(number, handle, ENOENT);
  const request = tag.request;
  if (state === TAG_LENT) return over(tag, request);
  if (kind === BLOCK_FETCHED && tag.client.gone === 0) {
    tag.state = TAG_ACTIVE;
    return requestAccept(request);
  }
  tell(number, handle, BLOCK_ANSWER, ECANCELED, 0, 0, 0);
  over(tag, request);
}

function flagsAllowed(kind: u32): u32 {
  if (kind !== OPERATION_WRITE_ZEROES) return OPERATION_FLAG_FUA;
  return OPERATION_FLAG_FUA | OPERATION_FLAG_NO_HOLE | OPERATION_FLAG_FAST_ZERO;
}

/** What is wrong with a request: errno, 0 when it is valid. */
function check(client: BlockClient, tag: Tag): u32 {
  const unit = client.unit;
  const kind = <u32>tag.kind;
  const flags = <u32>tag.flags;
  const changes = kind === OPERATION_WRITE || kind === OPERATION_TRIM || kind === OPERATION_WRITE_ZEROES;
  if (!changes && kind !== OPERATION_READ && kind !== OPERATION_FLUSH) return EINVAL;
  if ((flags & ~flagsAllowed(kind)) !== 0) return EINVAL;
  if (changes && ((client.flags & BLOCK_READ_ONLY) !== 0 || (unit.capabilities & UNIT_CAN_NOT_WRITE) !== 0))
    return EPERM;
  const offset = tag.offset;
  const bytes = tag.bytes;
  if (kind === OPERATION_FLUSH) return (offset | bytes | (<u64>tag.buffer)) !== 0 ? EINVAL : 0;
  if (bytes === 0 || ((offset | bytes) & (<u64>unit.blockBytes - 1)) !== 0) return EINVAL;
  const size = unit.blocks << unit.blockShift;
  if (bytes > size || offset > size - bytes) return pastEnd(kind);
  if (kind <= OPERATION_WRITE) {
    if (bytes > <u64>min(BLOCK_BYTES_MAX, payloadBytesMax)) return EOVERFLOW;
    return tag.buffer === 0 ? 0 : checkBuffer(tag);
  }
  if (tag.buffer !== 0) return EINVAL;
  return (flags & OPERATION_FLAG_FAST_ZERO) !== 0 && zeroMethod(unit, flags) === METHOD_ZERO_WRITE ? ENOTSUP : 0;
}

/** An embedder's own buffer must lie in its region and start on a page. */
function checkBuffer(tag: Tag): u32 {
  if (tag.buffer % BUFFER_PAGE_BYTES !== 0) return EINVAL;
  const at = <u64>tag.buffer;
  return at < <u64>region || at + tag.bytes > <u64>region + <u64>regionBytes ? EFAULT : 0;
}

/** Makes a request from a valid entry; false when it has to wait. */
function take(client: BlockClient, tag: Tag, number: u32): bool {
  const unit = client.unit;
  const kind = <u32>tag.kind;
  const flags = <u32>tag.flags;
  const method = methodOf(unit, kind, flags);
  const data = tag.buffer !== 0 ? 0 : dataBytes(unit, kind, method, tag.bytes);
  if (!mayTake(client, data)) return false;
  const request = requestTake(unit, client, data);
  if (request === null) {
    waitForRoom(client);
    return false;
  }
  if (tag.buffer !== 0) requestOwnBuffer(request, tag.buffer);
  requestFill(request, kind, flags, method, <u64>number);
  requestCover(unit, request, tag.offset, tag.bytes);
  tag.request = request;
  if (kind === OPERATION_WRITE && tag.buffer === 0) {
    tag.state = TAG_FETCHING;
    tell(number, client.handle, BLOCK_FETCH, 0, 0, requestBlock(request, 0), <u32>tag.bytes);
  } else {
    tag.state = TAG_ACTIVE;
    requestAccept(request);
  }
  return true;
}
