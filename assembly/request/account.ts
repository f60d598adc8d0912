// The policy's account of a command is closed here, once for each command.

import { COMMAND_WRITTEN_OFF, Command, METHOD_READ } from "../memory/records";
import { selectionServiceNs } from "../selection/selection";
import { paceEnd } from "./pace";
import { isLong } from "./pieces";

/** The policy's account of a command is closed, once: it has come back, or was given up. */
export function writeOff(c: Command, timeNs: u64, good: bool): void {
  if ((c.flags & COMMAND_WRITTEN_OFF) !== 0) return;
  c.flags |= COMMAND_WRITTEN_OFF;
  if (c.pace !== 0) paceEnd(c.unit, c, timeNs, good);
  const write = c.method !== METHOD_READ;
  // How long a long one takes says nothing about its path.
  const teaches = !isLong(c.method);
  const latencyNs = teaches && timeNs > c.timeNs ? timeNs - c.timeNs : 0;
  const selection = c.unit.selection;
  const slot = c.path.slot;
  selection.finished(slot, c.bufferBytes, write, latencyNs, good && teaches, timeNs, c.note);
  if (selection.learns()) c.path.serviceNs = selectionServiceNs(selection, slot);
}
