// Round robin: the paths take turns in order of priority, highest first, then from the start again. A turn is one I/O,
// or `parameter` I/Os, or ends once `parameter2` bytes have gone out, whichever comes first.
//
// The same code serves the round robin over a subset: `order` then holds only the subset, and `parameter` is its mask.

import { POLICY_ROUND_ROBIN } from "../abi";
import { ORDER, Selection } from "./layout";

/** Most I/Os of one turn. */
export const TURN_IOS_MAX: u32 = 1000000;

/** The slot whose turn it is, or the next one in order that is allowed (a command is not sent twice down one path). */
export function pickRoundRobin(s: Selection, allowed: u32, bytes: u32): u32 {
  const order = changetype<usize>(s) + ORDER;
  let at = s.turn;
  for (let tried: u32 = 0; tried < s.count; tried++) {
    const slot = <u32>load<u8>(order + at);
    if ((allowed >> slot) & 1) {
      if (tried > 0) startTurn(s, at);
      takeTurn(s, bytes);
      return slot;
    }
    at = at + 1 >= s.count ? 0 : at + 1;
  }
  return ctz(allowed);
}

function startTurn(s: Selection, at: u32): void {
  s.turn = at;
  s.turnIos = 0;
  s.turnBytes = 0;
}

function takeTurn(s: Selection, bytes: u32): void {
  const plain = s.policy === POLICY_ROUND_ROBIN;
  const iosMax = plain ? s.parameter : s.parameter2;
  const bytesMax = plain ? s.parameter2 : 0;
  s.turnIos += 1;
  s.turnBytes += bytes;
  const over = (iosMax <= 1 && bytesMax === 0) || (iosMax !== 0 && s.turnIos >= iosMax);
  if (over || (bytesMax !== 0 && s.turnBytes >= bytesMax)) startTurn(s, s.turn + 1 >= s.count ? 0 : s.turn + 1);
}
