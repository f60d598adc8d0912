// Properties of a command's or request's method, and other commands in flight for the same piece.

import { listNext } from "../memory/lists";
import {
  COMMAND_DEAD,
  COMMAND_KEPT,
  Command,
  METHOD_SAME,
  METHOD_SYNC,
  METHOD_UNMAP,
  METHOD_WRITE,
} from "../memory/records";

const OF_REQUEST: usize = offsetof<Command>("nextOfRequest");

/** Whether a command with this method changes the medium. */
export function changesMedium(method: u8): bool {
  return method >= METHOD_WRITE && method <= METHOD_UNMAP;
}

/** Whether commands with this method may legitimately take long. */
export function isLong(method: u8): bool {
  return <u8>(method - METHOD_SAME) <= METHOD_SYNC - METHOD_SAME;
}

/** Whether another command is under way for the same piece. */
export function commandDuplicate(c: Command): bool {
  const r = c.request;
  for (let at = r.commandFirst; at !== 0; at = listNext(at, OF_REQUEST)) {
    const other = changetype<Command>(at);
    if (other !== c && other.pieceOffset === c.pieceOffset && (other.flags & COMMAND_DEAD) === 0) {
      if (other.state !== COMMAND_KEPT && other.method === c.method) return true;
    }
  }
  return false;
}
