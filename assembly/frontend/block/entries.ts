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
import { listPush, listRemove } from "../../memory/lists";
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

const PENDING: usize = offsetof<BlockClient>("pendingFirst");
const TAG_LINK: usize = offsetof<Tag>("next");

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
  const t = tagAt(number);
  if (kind === BLOCK_FETCHED || kind === BLOCK_RELEASE) return givenBack(t, kind, number, handle);
  const n = clientOf(handle);
  if (changetype<usize>(n) === 0) return refuse(number, handle, ENODEV);
  if (t.state !== TAG_FREE) return refuse(number, handle, EBUSY);
  t.kind = <u8>kind;
  t.flags = load<u8>(at + BLOCK_ENTRY_FLAGS);
  t.buffer = load<u32>(at + BLOCK_ENTRY_BUFFER);
  t.offset = load<u64>(at + BLOCK_ENTRY_OFFSET);
  t.bytes = load<u64>(at + BLOCK_ENTRY_LENGTH);
  const error = check(n, t);
  if (error !== 0) {
    failed(n);
    return refuse(number, handle, error);
  }
  t.client = n;
  t.state = TAG_PENDING;
  n.tags++;
  tagUsed();
  if (n.pendingFirst !== 0 || !take(n, t, number))
    listPush(changetype<usize>(n) + PENDING, changetype<usize>(t), TAG_LINK);
}

/** An error found before a request exists is counted in the unit's statistics like any other. */
function failed(n: BlockClient): void {
  n.unit.failed++;
  statisticsError(n.unit.statistics);
}

/** There may be room for a client's next requests. */
export function clientResume(n: BlockClient): void {
  while (n.pendingFirst !== 0) {
    const t = changetype<Tag>(n.pendingFirst);
    const number = tagNumber(t);
    // The unit may have changed since.
    const error = check(n, t);
    if (error === 0 && !take(n, t, number)) return;
    listRemove(changetype<usize>(n) + PENDING, changetype<usize>(t), TAG_LINK);
    if (error === 0) continue;
    failed(n);
    tell(number, n.handle, BLOCK_ANSWER, error, 0, 0, 0);
    tagFree(t);
  }
}

/** A lent buffer is returned: filled, used up, or not wanted. */
function givenBack(t: Tag, kind: u32, number: u32, handle: u32): void {
  const state = t.state;
  const fits = state === TAG_FETCHING || (state === TAG_LENT && kind === BLOCK_RELEASE);
  if (!fits || t.client.handle !== handle) return refuse(number, handle, ENOENT);
  const r = t.request;
  if (state === TAG_LENT) return over(t, r);
  if (kind === BLOCK_FETCHED && t.client.gone === 0) {
    t.state = TAG_ACTIVE;
    return requestAccept(r);
  }
  tell(number, handle, BLOCK_ANSWER, ECANCELED, 0, 0, 0);
  over(t, r);
}

function flagsAllowed(kind: u32): u32 {
  if (kind !== OPERATION_WRITE_ZEROES) return OPERATION_FLAG_FUA;
  return OPERATION_FLAG_FUA | OPERATION_FLAG_NO_HOLE | OPERATION_FLAG_FAST_ZERO;
}

/** What is wrong with a request: errno, 0 when it is valid. */
function check(n: BlockClient, t: Tag): u32 {
  const u = n.unit;
  const kind = <u32>t.kind;
  const flags = <u32>t.flags;
  const changes = kind === OPERATION_WRITE || kind === OPERATION_TRIM || kind === OPERATION_WRITE_ZEROES;
  if (!changes && kind !== OPERATION_READ && kind !== OPERATION_FLUSH) return EINVAL;
  if ((flags & ~flagsAllowed(kind)) !== 0) return EINVAL;
  if (changes && ((n.flags & BLOCK_READ_ONLY) !== 0 || (u.capabilities & UNIT_CAN_NOT_WRITE) !== 0)) return EPERM;
  const offset = t.offset;
  const bytes = t.bytes;
  if (kind === OPERATION_FLUSH) return (offset | bytes | (<u64>t.buffer)) !== 0 ? EINVAL : 0;
  if (bytes === 0 || ((offset | bytes) & (<u64>u.blockBytes - 1)) !== 0) return EINVAL;
  const size = u.blocks << u.blockShift;
  if (bytes > size || offset > size - bytes) return pastEnd(kind);
  if (kind <= OPERATION_WRITE) {
    if (bytes > <u64>min(BLOCK_BYTES_MAX, payloadBytesMax)) return EOVERFLOW;
    return t.buffer === 0 ? 0 : checkBuffer(t);
  }
  if (t.buffer !== 0) return EINVAL;
  return (flags & OPERATION_FLAG_FAST_ZERO) !== 0 && zeroMethod(u, flags) === METHOD_ZERO_WRITE ? ENOTSUP : 0;
}

/** An embedder's own buffer must lie in its region and start on a page. */
function checkBuffer(t: Tag): u32 {
  if (t.buffer % BUFFER_PAGE_BYTES !== 0) return EINVAL;
  const at = <u64>t.buffer;
  return at < <u64>region || at + t.bytes > <u64>region + <u64>regionBytes ? EFAULT : 0;
}

/** Makes a request from a valid entry; false when it has to wait. */
function take(n: BlockClient, t: Tag, number: u32): bool {
  const u = n.unit;
  const kind = <u32>t.kind;
  const flags = <u32>t.flags;
  const method = methodOf(u, kind, flags);
  const data = t.buffer !== 0 ? 0 : dataBytes(u, kind, method, t.bytes);
  if (!mayTake(n, data)) return false;
  const r = requestTake(u, n, data);
  if (r === null) {
    waitForRoom(n);
    return false;
  }
  if (t.buffer !== 0) requestOwnBuffer(r, t.buffer);
  requestFill(r, kind, flags, method, <u64>number);
  requestCover(u, r, t.offset, t.bytes);
  t.request = r;
  if (kind === OPERATION_WRITE && t.buffer === 0) {
    t.state = TAG_FETCHING;
    tell(number, n.handle, BLOCK_FETCH, 0, 0, requestBlock(r, 0), <u32>t.bytes);
  } else {
    t.state = TAG_ACTIVE;
    requestAccept(r);
  }
  return true;
}
