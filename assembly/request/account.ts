// The policy's account of a command is closed here, once for each command.

import { COMMAND_WRITTEN_OFF, Command, METHOD_READ } from "../memory/records";
import { selectionServiceNs } from "../selection/selection";
import { paceEnd } from "./pace";
import { isLong } from "./pieces";

/** The policy's account of a command is closed, once: it has come back, or was given up. */
export function writeOff(command: Command, timeNs: u64, good: bool): void {
  if ((command.flags & COMMAND_WRITTEN_OFF) !== 0) return;
  command.flags |= COMMAND_WRITTEN_OFF;
  if (command.pace !== 0) paceEnd(command.unit, command, timeNs, good);
  const write = command.method !== METHOD_READ;
  // How long a long one takes says nothing about its path.
  const teaches = !isLong(command.method);
  const latencyNs = teaches && timeNs > command.timeNs ? timeNs - command.timeNs : 0;
  const selection = command.unit.selection;
  const slot = command.path.slot;
  selection.finished(slot, command.bufferBytes, write, latencyNs, good && teaches, timeNs, command.note);
  if (selection.learns()) command.path.serviceNs = selectionServiceNs(selection, slot);
}
