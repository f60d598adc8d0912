// Properties of a command's or request's method, and other commands in flight for the same piece.

import {
  COMMAND_DEAD,
  COMMAND_KEPT,
  Command,
  METHOD_SAME,
  METHOD_SYNC,
  METHOD_UNMAP,
  METHOD_WRITE,
} from "../memory/records";

/** Whether a command with this method changes the medium. */
export function changesMedium(method: u8): bool {
  return method >= METHOD_WRITE && method <= METHOD_UNMAP;
}

/** Whether commands with this method may legitimately take long. */
export function isLong(method: u8): bool {
  return <u8>(method - METHOD_SAME) <= METHOD_SYNC - METHOD_SAME;
}

/** Whether another command is under way for the same piece. */
export function commandDuplicate(command: Command): bool {
  const request = command.request;
  for (let other = request.commands.first; changetype<usize>(other) !== 0; other = other.nextOfRequest) {
    if (other !== command && other.pieceOffset === command.pieceOffset && (other.flags & COMMAND_DEAD) === 0) {
      if (other.state !== COMMAND_KEPT && other.method === command.method) return true;
    }
  }
  return false;
}
