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
export function setTurn(selection: Selection): void {
  const plain = selection.policy === POLICY_ROUND_ROBIN;
  const ios = plain ? selection.parameter : selection.parameter2;
  const bytes = plain ? selection.parameter2 : 0;
  selection.turnBytesMax = bytes === 0 ? u32.MAX_VALUE : bytes;
  selection.turnIosMax = ios !== 0 ? ios : bytes === 0 ? 1 : u32.MAX_VALUE;
}

/** The slot whose turn it is; LONG_WAY when it is not allowed. */
export function pickRoundRobin(selection: Selection, allowed: u32, bytes: u32): u32 {
  const at = selection.turn;
  const slot = <u32>load<u8>(changetype<usize>(selection) + ORDER + at);
  if (((allowed >> slot) & 1) === 0) return LONG_WAY;
  takeTurn(selection, at, bytes);
  return slot;
}

/** The next allowed slot in order (a command is not sent down the same path twice). */
export function pickRoundRobinLong(selection: Selection, allowed: u32, bytes: u32): u32 {
  const order = changetype<usize>(selection) + ORDER;
  let at = selection.turn;
  for (let tried: u32 = 1; tried < selection.count; tried++) {
    at = nextOf(selection, at);
    const slot = <u32>load<u8>(order + at);
    if ((allowed >> slot) & 1) {
      startTurn(selection, at);
      takeTurn(selection, at, bytes);
      return slot;
    }
  }
  return ctz(allowed);
}

function nextOf(selection: Selection, at: u32): u32 {
  return at + 1 < selection.count ? at + 1 : 0;
}

function startTurn(selection: Selection, at: u32): void {
  selection.turn = at;
  selection.turnIos = 0;
  selection.turnBytes = 0;
}

function takeTurn(selection: Selection, at: u32, bytes: u32): void {
  const next = nextOf(selection, at);
  if (selection.turnIosMax === 1) {
    selection.turn = next;
    return;
  }
  const ios = selection.turnIos + 1;
  const sum = selection.turnBytes + bytes;
  selection.turnIos = ios;
  selection.turnBytes = sum;
  if (ios >= selection.turnIosMax || sum >= selection.turnBytesMax) startTurn(selection, next);
}
