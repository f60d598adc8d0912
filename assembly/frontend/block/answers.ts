// Requests of the block door after their answer: the embedder is told, takes what it was lent, and learns when its own buffer is
// free.

import { BLOCK_ANSWER, BLOCK_HELD, BLOCK_LENT, BLOCK_RETURNED, OPERATION_READ } from "../../abi";
import { blockReady } from "../../memory/due";
import { ECANCELED } from "../../memory/errno";
import { listNext, listShift } from "../../memory/lists";
import { COMMAND_KEPT, Command, OWN_HELD, OWN_NOT, REQUEST_OVER, REQUEST_SENDING, Request } from "../../memory/records";
import { dataAt, dataRun, dropKept } from "../../request/data";
import { requestFreeIfOver, requestLeft, requestTold } from "../../request/pool";
import { tagFree } from "./client";
import { BlockClient, TAG_HELD, TAG_LENT, Tag, tagAt, tagCount } from "./table";
import { tell } from "./tell";

const LINK: usize = offsetof<Request>("next");
const OF_REQUEST: usize = offsetof<Command>("nextOfRequest");

/** Reports whatever is due. */
export function blockAnswers(): void {
  for (let at = listShift(blockReady, LINK); at !== 0; at = listShift(blockReady, LINK)) {
    const r = changetype<Request>(at);
    if (r.state === REQUEST_OVER) returned(r);
    else answer(r);
  }
}

/** Whether a command that the host has may still touch the request's own buffer. */
function isHeld(r: Request): bool {
  if (r.own === OWN_NOT) return false;
  for (let at = r.commandFirst; at !== 0; at = listNext(at, OF_REQUEST)) {
    if (changetype<Command>(at).state !== COMMAND_KEPT) return true;
  }
  return false;
}

function answer(r: Request): void {
  const number = <u32>r.cookie;
  const t = tagAt(number);
  const n = changetype<BlockClient>(r.client);
  const error = n.gone !== 0 ? ECANCELED : r.error;
  const held = isHeld(r);
  let flags = held ? BLOCK_HELD : 0;
  let bytes: u32 = 0;
  let address: usize = 0;
  if (held) r.own = OWN_HELD;
  if (error === 0 && <u32>r.kind === OPERATION_READ) {
    bytes = dataRun(r, 0, <u32>r.askedBytes);
    address = dataAt;
    if (r.own === OWN_NOT || r.kept !== 0) {
      t.state = TAG_LENT;
      r.state = REQUEST_SENDING;
      return tell(number, n.handle, BLOCK_ANSWER, 0, flags | BLOCK_LENT, address, bytes);
    }
  }
  tell(number, n.handle, BLOCK_ANSWER, error, flags, address, bytes);
  over(t, r);
}

/** Nothing of its data is needed any more. */
export function over(t: Tag, r: Request): void {
  const held = r.own >= OWN_HELD;
  requestLeft(r);
  dropKept(r);
  if (held) t.state = TAG_HELD;
  else tagFree(t);
  requestFreeIfOver(r);
}

/** Nothing touches a request's own buffer any more. */
function returned(r: Request): void {
  const number = <u32>r.cookie;
  const t = tagAt(number);
  assert(t.state === TAG_HELD && t.request === r);
  tell(number, t.client.handle, BLOCK_RETURNED, 0, 0, 0, 0);
  requestTold(r);
  tagFree(t);
}

/** See docs/block-door.md, `blockData`. */
export function lentData(number: u32, at: u32): u64 {
  if (number >= tagCount) return 0;
  const t = tagAt(number);
  if (t.state !== TAG_LENT || <u64>at >= t.request.askedBytes) return 0;
  const bytes = dataRun(t.request, at, <u32>t.request.askedBytes);
  return ((<u64>bytes) << 32) | (<u64>dataAt);
}
