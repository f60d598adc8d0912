// Requests of the block door after their answer: the embedder is told, takes what it was lent, and learns when its own buffer is
// free.

import { BLOCK_ANSWER, BLOCK_HELD, BLOCK_LENT, BLOCK_RETURNED, OPERATION_READ } from "../../abi";
import { blockReady } from "../../memory/due";
import { ECANCELED } from "../../memory/errno";
import { COMMAND_KEPT, OWN_HELD, OWN_NOT, REQUEST_OVER, REQUEST_SENDING, Request } from "../../memory/records";
import { dataAt, dataRun, dropKept } from "../../request/data";
import { requestFreeIfOver, requestLeft, requestTold } from "../../request/pool";
import { tagFree } from "./client";
import { BlockClient, TAG_HELD, TAG_LENT, Tag, tagAt, tagCount } from "./table";
import { tell } from "./tell";

/** Reports whatever is due. */
export function blockAnswers(): void {
  for (let request = blockReady.shift(); changetype<usize>(request) !== 0; request = blockReady.shift()) {
    if (request.state === REQUEST_OVER) returned(request);
    else answer(request);
  }
}

/** Whether a command in the host may still touch the request's own buffer. */
function isHeld(request: Request): bool {
  if (request.own === OWN_NOT) return false;
  for (let command = request.commands.first; changetype<usize>(command) !== 0; command = command.nextOfRequest) {
    if (command.state !== COMMAND_KEPT) return true;
  }
  return false;
}

function answer(request: Request): void {
  const number = <u32>request.cookie;
  const tag = tagAt(number);
  const client = changetype<BlockClient>(request.client);
  const error = client.gone !== 0 ? ECANCELED : request.error;
  const held = isHeld(request);
  let flags = held ? BLOCK_HELD : 0;
  let bytes: u32 = 0;
  let address: usize = error === 0 ? 0 : request.sense;
  if (held) request.own = OWN_HELD;
  if (error === 0 && <u32>request.kind === OPERATION_READ) {
    bytes = dataRun(request, 0, <u32>request.askedBytes);
    address = dataAt;
    if (request.own === OWN_NOT || request.kept !== 0) {
      tag.state = TAG_LENT;
      request.state = REQUEST_SENDING;
      return tell(number, client.handle, BLOCK_ANSWER, 0, flags | BLOCK_LENT, address, bytes);
    }
  }
  tell(number, client.handle, BLOCK_ANSWER, error, flags, address, bytes);
  over(tag, request);
}

/** Nothing of its data is needed any more. */
export function over(tag: Tag, request: Request): void {
  const held = request.own >= OWN_HELD;
  requestLeft(request);
  dropKept(request);
  if (held) tag.state = TAG_HELD;
  else tagFree(tag);
  requestFreeIfOver(request);
}

/** Nothing touches a request's own buffer any more. */
function returned(request: Request): void {
  const number = <u32>request.cookie;
  const tag = tagAt(number);
  assert(tag.state === TAG_HELD && tag.request === request);
  tell(number, tag.client.handle, BLOCK_RETURNED, 0, 0, 0, 0);
  requestTold(request);
  tagFree(tag);
}

/** See docs/block-door.md, `blockData`. */
export function lentData(number: u32, at: u32): u64 {
  if (number >= tagCount) return 0;
  const tag = tagAt(number);
  if (tag.state !== TAG_LENT || <u64>at >= tag.request.askedBytes) return 0;
  const bytes = dataRun(tag.request, at, <u32>tag.request.askedBytes);
  return ((<u64>bytes) << 32) | (<u64>dataAt);
}
