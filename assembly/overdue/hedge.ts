// Hedged reads, if an operator allows them: a read that has not answered by the time nearly all others have is sent a second time
// on another path; the first good answer wins. When that is, and whether the budget allows it, is decided in selection/hedge.ts.
// Writes are never hedged; they follow the stall rule.

import { bufferGive, bufferTake } from "../memory/buffers";
import { COMMAND_ORPHAN, COMMAND_HEDGED, Command, METHOD_READ } from "../memory/records";
import { now } from "../memory/ring";
import { statisticsHedge } from "../memory/statistics";
import { NEVER } from "../memory/time";
import { Unit } from "../memory/topology";
import { chooseOther } from "../request/dispatch";
import { commandsFree } from "../request/slots";
import { hedgeLearn, hedgeTake, hedgeThresholdNs } from "../selection/hedge";
import { OWN_BUFFERS_MAX, attempted, issueDuplicate, ownBuffers } from "./speculative-retry";

/** A read has completed, possibly after losing to its hedge. */
export function hedgeReadBack(u: Unit, c: Command, latencyNs: u64): void {
  if (u.hedgeBudget !== 0 && c.method === METHOD_READ && c.attempt === 0) {
    hedgeLearn(u.selection, c.bufferBytes, latencyNs);
  }
}

/** When `c` may be hedged; "never" when it may not. */
export function hedgeDue(u: Unit, c: Command): u64 {
  if (u.hedgeBudget === 0 || c.method !== METHOD_READ || c.attempt !== 0) return NEVER;
  if ((c.flags & (COMMAND_HEDGED | COMMAND_ORPHAN)) !== 0) return NEVER;
  const afterNs = hedgeThresholdNs(u.selection, c.bufferBytes);
  if (afterNs === 0) return NEVER;
  if (c.timeNs + afterNs > now) return c.timeNs + afterNs;
  hedge(u, c);
  return NEVER;
}

/** Sends a read a second time, if possible. Only once: a late hedge helps nobody. */
function hedge(u: Unit, c: Command): void {
  c.flags |= COMMAND_HEDGED;
  const r = c.request;
  if (commandsFree() === 0 || r.error !== 0 || ownBuffers(r) >= OWN_BUFFERS_MAX) return;
  const slot = chooseOther(u, attempted(c), c.pieceBytes, false, r.client.index);
  if (slot < 0) return;
  const own = bufferTake(c.pieceBytes);
  if (own === 0) return;
  if (!hedgeTake(u.selection)) return bufferGive(own);
  statisticsHedge(u.statistics);
  const duplicate = issueDuplicate(c, own, <u32>slot);
  duplicate.flags |= COMMAND_HEDGED;
}
