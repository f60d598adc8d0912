// Hedged reads, if an operator allows them: a read that has not answered by the time nearly all others have is sent a second time on
// another path, and the first good answer wins. selection/hedge-budget.ts decides when that is, and whether the budget allows it.
// Writes are never hedged; they follow the stall rule.

import { bufferGive, bufferTake } from "../memory/buffers";
import { COMMAND_ORPHAN, COMMAND_HEDGED, Command, METHOD_READ } from "../memory/records";
import { now } from "../memory/ring";
import { statisticsHedge } from "../memory/statistics";
import { NEVER } from "../memory/time";
import { Unit } from "../memory/topology";
import { chooseOther } from "../request/dispatch";
import { commandsFree } from "../request/slots";
import { hedgeLearn, hedgeTake, hedgeThresholdNs } from "../selection/hedge-budget";
import { OWN_BUFFERS_MAX, attempted, issueDuplicate, ownBuffers } from "./speculative-retry";

/** A read has completed, possibly after losing to its hedge. */
export function hedgeReadBack(unit: Unit, command: Command, latencyNs: u64): void {
  if (unit.hedgeBudget !== 0 && command.method === METHOD_READ && command.attempt === 0) {
    hedgeLearn(unit.selection, command.bufferBytes, latencyNs);
  }
}

/** When `command` may be hedged; "never" when it may not. */
export function hedgeDue(unit: Unit, command: Command): u64 {
  if (unit.hedgeBudget === 0 || command.method !== METHOD_READ || command.attempt !== 0) return NEVER;
  if ((command.flags & (COMMAND_HEDGED | COMMAND_ORPHAN)) !== 0) return NEVER;
  const afterNs = hedgeThresholdNs(unit.selection, command.bufferBytes);
  if (afterNs === 0) return NEVER;
  if (command.timeNs + afterNs > now) return command.timeNs + afterNs;
  hedge(unit, command);
  return NEVER;
}

/** Sends a read a second time, if possible. Only once: a late hedge helps nobody. */
function hedge(unit: Unit, command: Command): void {
  command.flags |= COMMAND_HEDGED;
  const request = command.request;
  if (commandsFree() === 0 || request.error !== 0 || ownBuffers(request) >= OWN_BUFFERS_MAX) return;
  const slot = chooseOther(unit, attempted(command), command.pieceBytes, false, request.client.index);
  if (slot < 0) return;
  const own = bufferTake(command.pieceBytes);
  if (own === 0) return;
  if (!hedgeTake(unit.selection)) return bufferGive(own);
  statisticsHedge(unit.statistics);
  const duplicate = issueDuplicate(command, own, <u32>slot);
  duplicate.flags |= COMMAND_HEDGED;
}
