// Settling ghosts by force: a ghost older than the unit's limit is ended by a reset of the logical unit; when that
// fails or changes nothing, of the target; then of the host adapter. One reset at a time on a path.
//
// A reset that was carried out has ended what the path had been given before it (SAM-5 7.7, 7.9): those ghosts can
// change nothing any more, so nothing waits for them. Their slots and buffers remain the host's until it completes
// them.

import { OP_RESET, PATH_FLAG_PRESENT, RESET_DEVICE, RESET_HOST, RESET_TARGET, SETTLED_RESET } from "./abi";
import { ghostHarmless } from "./ghost";
import { listNext } from "./lists";
import { pathIdle } from "./path";
import { COMMAND_GHOST, Command, Path, Unit } from "./records";
import { TAG_RESET, countStray, makeTag, now, submit } from "./ring";

const LINK: usize = offsetof<Command>("next");
const PAUSE_NS: u64 = 5000000000;

/** Resets when the ghost `c` is due for it; answers when it has to be looked at again. */
export function resetDue(u: Unit, c: Command): u64 {
  if (u.ghostResetNs === 0) return <u64>-1;
  const p = c.path;
  const dueNs = max(c.timeNs + u.ghostResetNs, p.resetNotBeforeNs);
  if (dueNs > now) return dueNs;
  resetStart(p);
  return now + PAUSE_NS;
}

/** Starts a reset by path `p`, of the scope that is next, unless one is under way. */
export function resetStart(p: Path): void {
  if (p.resetting !== 0 || (p.flags & PATH_FLAG_PRESENT) === 0) return;
  if (p.resetScope === 0) p.resetScope = <u8>RESET_DEVICE;
  p.resetting = 1;
  p.resetStartNs = now;
  p.resetGeneration++;
  p.resetNotBeforeNs = now + max(p.unit.ghostResetNs, PAUSE_NS);
  submit(p.arrayPort !== 0, OP_RESET, 0, makeTag(TAG_RESET, p.resetGeneration, p.index), p.port, 0, p.resetScope);
}

/** The host has completed a reset. */
export function resetCompleted(p: Path, generation: u8, result: i32): void {
  if (p.resetting === 0 || p.resetGeneration !== generation) return countStray();
  const u = p.unit;
  p.resetting = 0;
  if (result >= 0) {
    for (let at = u.flightFirst; at !== 0;) {
      const c = changetype<Command>(at);
      at = listNext(at, LINK);
      if (c.path !== p || (c.flags & COMMAND_GHOST) === 0 || c.timeNs >= p.resetStartNs) continue;
      ghostHarmless(c, SETTLED_RESET);
    }
  } else p.resetNotBeforeNs = now + PAUSE_NS;
  // If another one is needed, the next larger.
  if (p.resetScope === <u8>RESET_DEVICE) p.resetScope = <u8>RESET_TARGET;
  else p.resetScope = <u8>(p.resetScope === <u8>RESET_TARGET ? RESET_HOST : RESET_DEVICE);
  pathIdle(p);
}

/** Nothing is unanswered on the path any more: the next reset begins small again. */
export function resetOver(p: Path): void {
  if (p.resetting === 0) p.resetScope = 0;
}
