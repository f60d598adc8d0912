// Hedged reads, where an operator allows them: a read that has not answered by the time at which nearly all others have
// goes out a second time on another path; the first good answer wins. A budget bounds the extra commands: each read earns a
// fraction of a token, each hedge costs one. Writes are never hedged; they follow the stall rule.

import { bufferTake } from "./buffers";
import { attempted, ownBuffers, OWN_BUFFERS_MAX, issueTwin } from "./stall";
import { chooseOther, commandsFree } from "./dispatch";
import { COMMAND_GHOST, COMMAND_HEDGED, Command, METHOD_READ, Unit } from "./records";
import { now } from "./ring";
import { statisticsHedge } from "./statistics";

/** A token, in hundredths of a percent; and how many can be saved up. */
const TOKEN: u32 = 10000;
const TOKENS_MAX: u32 = 32 * TOKEN;

/** A read goes out: it earns its part of the budget. */
export function hedgeEarn(u: Unit): void {
  u.hedgeTokens = min(u.hedgeTokens + u.hedgeBudget, TOKENS_MAX);
}

/** When `c` may be hedged; "never" when it may not. */
export function hedgeDue(u: Unit, c: Command): u64 {
  if (u.hedgeBudget === 0 || u.hedgeNs === 0 || c.method !== METHOD_READ) return <u64>-1;
  if ((c.flags & (COMMAND_HEDGED | COMMAND_GHOST)) !== 0) return <u64>-1;
  const dueNs = c.timeNs + u.hedgeNs;
  if (dueNs > now) return dueNs;
  hedge(u, c);
  return <u64>-1;
}

/** Sends a read a second time, if that can be. Once only: a hedge that comes late helps nobody. */
function hedge(u: Unit, c: Command): void {
  c.flags |= COMMAND_HEDGED;
  const r = c.request;
  if (u.hedgeTokens < TOKEN || commandsFree() === 0 || r.error !== 0 || ownBuffers(r) >= OWN_BUFFERS_MAX) return;
  const slot = chooseOther(u, attempted(c), c.pieceBytes, false, r.connection.index);
  if (slot < 0) return;
  const own = bufferTake(c.pieceBytes);
  if (own === 0) return;
  u.hedgeTokens -= TOKEN;
  statisticsHedge(u.statistics);
  const twin = issueTwin(c, own, <u32>slot);
  twin.flags |= COMMAND_HEDGED;
}
