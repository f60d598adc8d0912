// Where the data of an answered READ is: in its request's blocks, except for pieces read by a command that was sent again, which
// had a buffer of its own (kept until the data has left).

import { PIECE_BYTES_MAX } from "../abi";
import { COMMAND_KEPT, Command, Request } from "../memory/records";
import { requestBlock } from "./pool";
import { commandDrop } from "./slots";

/** Where the bytes are that `dataRun` has found. */
export let dataAt: usize = 0;

/** How many bytes from `at` on are contiguous, up to `end`; both count from the beginning of its first block. */
export function dataRun(request: Request, at: u32, end: u32): u32 {
  let bytes = min(end - at, PIECE_BYTES_MAX - (at & (PIECE_BYTES_MAX - 1)));
  if (request.kept !== 0) {
    const kept = keptFrom(request, at);
    if (changetype<usize>(kept) !== 0) {
      if (kept.pieceOffset <= at) {
        const skip = at - kept.pieceOffset;
        dataAt = <usize>kept.ownBuffer + skip;
        return min(kept.pieceBytes - skip, end - at);
      }
      bytes = min(bytes, kept.pieceOffset - at);
    }
  }
  dataAt = requestBlock(request, at / PIECE_BYTES_MAX) + (at & (PIECE_BYTES_MAX - 1));
  return bytes;
}

/** The first kept piece that ends after `from`; null when there is none. */
function keptFrom(request: Request, from: u32): Command {
  let best = changetype<Command>(0);
  for (let command = request.commands.first; changetype<usize>(command) !== 0; command = command.nextOfRequest) {
    if (command.state !== COMMAND_KEPT || command.pieceOffset + command.pieceBytes <= from) continue;
    if (changetype<usize>(best) === 0 || command.pieceOffset < best.pieceOffset) best = command;
  }
  return best;
}

/** The request's kept pieces are no longer needed. */
export function dropKept(request: Request): void {
  for (let next = request.commands.first; request.kept !== 0;) {
    const command = next;
    next = command.nextOfRequest;
    if (command.state !== COMMAND_KEPT) continue;
    request.kept--;
    commandDrop(command);
  }
}
