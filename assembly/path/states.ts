// The states a path can be in: who brings it there and out again, whether it carries I/O meanwhile, what is displayed. Each state is
// a bit of the path's flags; they change here only, and what the table does not allow ends the core. docs/architecture.md shows it.

import {
  PATH_FLAG_ENABLED,
  PATH_FLAG_FAILED,
  PATH_FLAG_IN_USE,
  PATH_FLAG_MARGINAL,
  PATH_FLAG_PRESENT,
  PATH_FLAG_REMOVING,
  PATH_FLAG_STALLED,
  PATH_FLAG_SUSPECT,
  PATH_FLAG_UNVERIFIED,
  PATH_FLAG_WRONG_UNIT,
} from "../abi";
import { Path } from "../memory/topology";

/** Who changes a state: a call of control. */
export const BY_CONTROL: u32 = 1;
/** What came back for a client's I/O. */
export const BY_IO: u32 = 2;
/** The answer to a check, or that there was none. */
export const BY_CHECK: u32 = 4;
/** Silence: a time that I/O should not have taken is over. */
export const BY_SILENCE: u32 = 8;
/** What happened to a path that shares a component with this one. */
export const BY_SHARED: u32 = 16;
/** Intermittent-failure monitoring. */
export const BY_MONITOR: u32 = 32;
/** The choice of paths (tiers.ts). */
export const BY_TIERS: u32 = 64;

/** I/O goes to a path only while it is in the state; never while it is; whether or not; after all that are in none of these. */
const IO_NEEDS: u32 = 0;
const IO_NONE: u32 = 1;
const IO_ANY: u32 = 2;
const IO_LATE: u32 = 3;
const IO_LATER: u32 = 4;
const IO_LAST: u32 = 5;

/** Displayed as: nothing; its state is "failed"; "standby" without it; "in use"; a condition beside the state. */
const SHOWN_NONE: u32 = 0;
const SHOWN_FAILED: u32 = 1;
const SHOWN_UNLESS_STANDBY: u32 = 2;
const SHOWN_IN_USE: u32 = 4;
const SHOWN_CONDITION: u32 = 8;

const SET_BY: usize = 1;
const CLEARED_BY: usize = 2;
const IO: usize = 3;
const STATES: u32 = 10;
const STATE_BYTES: usize = 20;

// In the order of their bits.
// prettier-ignore
const states: usize = memory.data<u32>([
  // state               set by                                        cleared by                      I/O       displayed
  PATH_FLAG_PRESENT,     BY_CONTROL,                                   BY_CONTROL,                     IO_NEEDS, SHOWN_NONE,
  PATH_FLAG_ENABLED,     BY_CONTROL,                                   BY_CONTROL | BY_CHECK,          IO_NEEDS, SHOWN_UNLESS_STANDBY,
  PATH_FLAG_FAILED,      BY_CONTROL | BY_IO | BY_CHECK | BY_SILENCE,   BY_CHECK,                       IO_NONE,  SHOWN_FAILED,
  PATH_FLAG_IN_USE,      BY_TIERS,                                     BY_TIERS,                       IO_ANY,   SHOWN_IN_USE,
  PATH_FLAG_WRONG_UNIT,  BY_CHECK,                                     BY_CHECK,                       IO_NONE,  SHOWN_FAILED | SHOWN_CONDITION,
  PATH_FLAG_SUSPECT,     BY_SHARED,                                    BY_SHARED | BY_CHECK,           IO_LATE,  SHOWN_CONDITION,
  PATH_FLAG_MARGINAL,    BY_MONITOR,                                   BY_MONITOR | BY_CONTROL,        IO_LATER, SHOWN_CONDITION,
  PATH_FLAG_STALLED,     BY_SILENCE,                                   BY_IO | BY_CHECK,               IO_LAST,  SHOWN_CONDITION,
  PATH_FLAG_REMOVING,    BY_CONTROL,                                   BY_CONTROL,                     IO_NONE,  SHOWN_CONDITION,
  PATH_FLAG_UNVERIFIED,  BY_CONTROL | BY_IO | BY_CHECK,                BY_CHECK,                       IO_NONE,  SHOWN_CONDITION,
], 4);

const FACT_BYTES: usize = 8;
const FACTS: usize = 4;

// What is noted of a path in bytes of its own, and has a meaning only as long as it is in the state.
// prettier-ignore
const facts: usize = memory.data<u32>([
  // noted                          only while
  <u32>offsetof<Path>("heldDown"), PATH_FLAG_FAILED,
  <u32>offsetof<Path>("back"),     PATH_FLAG_FAILED,
  <u32>offsetof<Path>("backTold"), PATH_FLAG_FAILED,
  <u32>offsetof<Path>("refuses"),  PATH_FLAG_FAILED,
], 4);

/** A path carries I/O while it is in all of PATH_NEEDS and in none of PATH_BARS. */
export const PATH_NEEDS: u32 = PATH_FLAG_PRESENT | PATH_FLAG_ENABLED;
export const PATH_BARS: u32 = PATH_FLAG_FAILED | PATH_FLAG_WRONG_UNIT | PATH_FLAG_REMOVING | PATH_FLAG_UNVERIFIED;

function cell(state: u32, column: usize): u32 {
  return load<u32>(states + <usize>ctz(state) * STATE_BYTES + 4 * column);
}

/** Whether each state stands at the place of its bit, and carries I/O as the masks say. Asked once at init. */
export function checkStates(): void {
  for (let i: u32 = 0; i < STATES; i++) {
    const state = (<u32>1) << i;
    assert(cell(state, 0) === state);
    assert((cell(state, IO) === IO_NEEDS) === ((PATH_NEEDS & state) !== 0));
    assert((cell(state, IO) === IO_NONE) === ((PATH_BARS & state) !== 0));
  }
}

/** Whether `by` may do this to each of the states. */
function mayChange(changed: u32, column: usize, by: u32): bool {
  for (let rest = changed; rest !== 0; rest &= rest - 1) {
    if ((cell(rest & -rest, column) & by) === 0) return false;
  }
  return true;
}

/** Whether the states and what is noted of the path go together. */
function isSound(path: Path): bool {
  if (path.flags !== 0 && (path.flags & PATH_FLAG_PRESENT) === 0) return false;
  if ((path.flags & PATH_FLAG_STALLED) !== 0 && path.silent === 0) return false;
  if (path.checkLost !== 0 && path.checking === 0) return false;
  for (let i: usize = 0; i < FACTS; i++) {
    const noted = load<u8>(changetype<usize>(path) + load<u32>(facts + i * FACT_BYTES));
    if (noted !== 0 && (path.flags & load<u32>(facts + i * FACT_BYTES, 4)) === 0) return false;
  }
  return true;
}

/** The path gets into these states; `by` is one of BY_*. */
export function pathEnters(path: Path, entered: u32, by: u32): void {
  assert(mayChange(entered, SET_BY, by));
  path.flags |= entered;
  assert(isSound(path));
}

/** The path gets out of these states. */
export function pathLeaves(path: Path, left: u32, by: u32): void {
  assert(mayChange(left & path.flags, CLEARED_BY, by));
  path.flags &= ~left;
  assert(isSound(path));
}

/** The path is gone; its record is free. */
export function pathForgotten(path: Path): void {
  assert((path.flags & PATH_FLAG_REMOVING) !== 0);
  path.flags = 0;
}
