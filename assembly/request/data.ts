// Where the data of an answered READ is: in its request's blocks, except for pieces read by a command that was sent again, which
// had a buffer of its own (kept until the data has left).

import { PIECE_BYTES_MAX } from "../abi";
import { listNext } from "../memory/lists";
import { COMMAND_KEPT, Command, Request } from "../memory/records";
import { requestBlock } from "./pool";
import { commandDrop } from "./slots";

const OF_REQUEST: usize = offsetof<Command>("nextOfRequest");

/** Where the bytes are that `dataRun` has found. */
export let dataAt: usize = 0;

/** How many bytes from `at` on are contiguous, up to `end`; both count from the beginning of its first block. */
export function dataRun(r: Request, at: u32, end: u32): u32 {
  let bytes = min(end - at, PIECE_BYTES_MAX - (at & (PIECE_BYTES_MAX - 1)));
  if (r.kept !== 0) {
    const kept = keptFrom(r, at);
    if (changetype<usize>(kept) !== 0) {
      if (kept.pieceOffset <= at) {
        const skip = at - kept.pieceOffset;
        dataAt = <usize>kept.ownBuffer + skip;
        return min(kept.pieceBytes - skip, end - at);
      }
      bytes = min(bytes, kept.pieceOffset - at);
    }
  }
  dataAt = requestBlock(r, at / PIECE_BYTES_MAX) + (at & (PIECE_BYTES_MAX - 1));
  return bytes;
}

/** The first kept piece that ends after `from`; null when there is none. */
function keptFrom(r: Request, from: u32): Command {
  let best = changetype<Command>(0);
  for (let at = r.commandFirst; at !== 0; at = listNext(at, OF_REQUEST)) {
    const c = changetype<Command>(at);
    if (c.state !== COMMAND_KEPT || c.pieceOffset + c.pieceBytes <= from) continue;
    if (changetype<usize>(best) === 0 || c.pieceOffset < best.pieceOffset) best = c;
  }
  return best;
}

/** The request's kept pieces are no longer needed. */
export function dropKept(r: Request): void {
  for (let at = r.commandFirst; r.kept !== 0;) {
    const c = changetype<Command>(at);
    at = listNext(at, OF_REQUEST);
    if (c.state !== COMMAND_KEPT) continue;
    r.kept--;
    commandDrop(c);
  }
}
