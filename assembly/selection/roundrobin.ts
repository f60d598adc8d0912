// Round robin: the paths take turns in order of priority, highest first, then from the start again. A turn is one I/O or
// `parameter` I/Os, or ends once `parameter2` bytes were sent, whichever comes first.
//
// The same code implements the round robin over a subset: `order` then contains only the subset, and `parameter` is its
// mask.

import { POLICY_ROUND_ROBIN } from "../abi";
import { LONG_WAY, ORDER, Selection } from "./layout";

/** Maximum number of I/Os in a turn. */
export const TURN_IOS_MAX: u32 = 1000000;

/** Sets the length of a turn from the policy's parameters. */
export function setTurn(s: Selection): void {
  const plain = s.policy === POLICY_ROUND_ROBIN;
  const ios = plain ? s.parameter : s.parameter2;
  const bytes = plain ? s.parameter2 : 0;
  s.turnBytesMax = bytes === 0 ? u32.MAX_VALUE : bytes;
  s.turnIosMax = ios !== 0 ? ios : bytes === 0 ? 1 : u32.MAX_VALUE;
}

/** The slot whose turn it is; LONG_WAY when it is not allowed. */
export function pickRoundRobin(s: Selection, allowed: u32, bytes: u32): u32 {
  const at = s.turn;
  const slot = <u32>load<u8>(changetype<usize>(s) + ORDER + at);
  if (((allowed >> slot) & 1) === 0) return LONG_WAY;
  takeTurn(s, at, bytes);
  return slot;
}

/** The next allowed slot in order (a command is not sent down the same path twice). */
export function pickRoundRobinLong(s: Selection, allowed: u32, bytes: u32): u32 {
  const order = changetype<usize>(s) + ORDER;
  let at = s.turn;
  for (let tried: u32 = 1; tried < s.count; tried++) {
    at = nextOf(s, at);
    const slot = <u32>load<u8>(order + at);
    if ((allowed >> slot) & 1) {
      startTurn(s, at);
      takeTurn(s, at, bytes);
      return slot;
    }
  }
  return ctz(allowed);
}

function nextOf(s: Selection, at: u32): u32 {
  return at + 1 < s.count ? at + 1 : 0;
}

function startTurn(s: Selection, at: u32): void {
  s.turn = at;
  s.turnIos = 0;
  s.turnBytes = 0;
}

function takeTurn(s: Selection, at: u32, bytes: u32): void {
  const next = nextOf(s, at);
  if (s.turnIosMax === 1) {
    s.turn = next;
    return;
  }
  const ios = s.turnIos + 1;
  const sum = s.turnBytes + bytes;
  s.turnIos = ios;
  s.turnBytes = sum;
  if (ios >= s.turnIosMax || sum >= s.turnBytesMax) startTurn(s, next);
}
