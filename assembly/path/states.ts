// The states a path can be in: who sets and clears each, whether the path carries I/O meanwhile, and what is displayed. Each state is a
// bit of the path's flags. The second table lists what is noted beside the flags. Both change only here, and a change that the tables do
// not allow ends the core. docs/architecture.md shows them.

import {
  PATH_FLAG_ENABLED,
  PATH_FLAG_FAILED,
  PATH_FLAG_IN_USE,
  PATH_FLAG_MARGINAL,
  PATH_FLAG_PRESENT,
  PATH_FLAG_REMOVING,
  PATH_FLAG_STALLED,
  PATH_FLAG_SUSPECT,
  PATH_FLAG_UNREGISTERED,
  PATH_FLAG_UNVERIFIED,
  PATH_FLAG_WRONG_UNIT,
} from "../abi";
import { Path } from "../memory/topology";

/** Who changes a state: a call from control. */
export const BY_CONTROL: u32 = 1;
/** The result of a client's I/O. */
export const BY_IO: u32 = 2;
/** A check that has ended, with or without an answer. */
export const BY_CHECK: u32 = 4;
/** Silence: I/O or a check has taken longer than it may. */
export const BY_SILENCE: u32 = 8;
/** Trouble, or an answer, on a path that shares a component with this one. */
export const BY_SHARED: u32 = 16;
/** Intermittent-failure monitoring. */
export const BY_MONITOR: u32 = 32;
/** The choice of paths (tiers.ts). */
export const BY_TIERS: u32 = 64;
/** Path patrol: its timer, or a path that patrol is to reinstate. */
export const BY_PATROL: u32 = 128;
/** A check is asked for, or sent (ask.ts). */
export const BY_ASKING: u32 = 256;
/** A reset has ended. */
export const BY_RESET: u32 = 512;
const BY_NOBODY: u32 = 0;

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
const STATES: u32 = 11;
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
  PATH_FLAG_UNREGISTERED, BY_CONTROL | BY_IO | BY_CHECK,               BY_CONTROL | BY_CHECK,          IO_NONE,  SHOWN_CONDITION,
], 4);

// What is noted of a path, each in a byte of its record (memory/topology.ts says what each one means).
export const NOTED_HELD_DOWN: u32 = <u32>offsetof<Path>("heldDown");
export const NOTED_BACK: u32 = <u32>offsetof<Path>("back");
export const NOTED_BACK_TOLD: u32 = <u32>offsetof<Path>("backTold");
export const NOTED_REFUSES: u32 = <u32>offsetof<Path>("refuses");
export const NOTED_SILENT: u32 = <u32>offsetof<Path>("silent");
export const NOTED_WANTED: u32 = <u32>offsetof<Path>("wanted");
export const NOTED_WANTED_LATER: u32 = <u32>offsetof<Path>("wantedLater");
export const NOTED_CHECKING: u32 = <u32>offsetof<Path>("checking");
export const NOTED_CHECK_LOST: u32 = <u32>offsetof<Path>("checkLost");
export const NOTED_GROUP_KNOWN: u32 = <u32>offsetof<Path>("groupKnown");
export const NOTED_OWN_REPORT: u32 = <u32>offsetof<Path>("ownReport");
export const NOTED_RESET_SCOPE: u32 = <u32>offsetof<Path>("resetScope");
export const NOTED_RESETTING: u32 = <u32>offsetof<Path>("resetting");
export const NOTED_RESET_WORKED: u32 = <u32>offsetof<Path>("resetWorked");
/** No state, or nothing noted. */
const NONE: u32 = 0;

const NOTES: usize = 14;
/** The first ones are noted only while the path is in a state. */
const NOTES_OF_STATES: usize = 4;
const NOTE_BYTES: usize = 20;
const NOTE_SET_BY: usize = 4;
const NOTE_CLEARED_BY: usize = 8;
const NOTE_STATE: usize = 12;
const NOTE_WITH: usize = 16;

// Set means any value but 0. `state`: noted only while the path is in it; `with`: only while the other is noted as well.
// prettier-ignore
const notes: usize = memory.data<u32>([
  // noted             set by                                         cleared by                                       state              with
  NOTED_HELD_DOWN,     BY_CONTROL,                                    BY_CONTROL,                                      PATH_FLAG_FAILED,  NONE,
  NOTED_BACK,          BY_CONTROL | BY_PATROL,                        BY_CONTROL | BY_CHECK | BY_SILENCE,              PATH_FLAG_FAILED,  NONE,
  NOTED_BACK_TOLD,     BY_CHECK,                                      BY_CONTROL | BY_CHECK | BY_SILENCE | BY_PATROL,  PATH_FLAG_FAILED,  NONE,
  NOTED_REFUSES,       BY_IO,                                         BY_CHECK,                                        PATH_FLAG_FAILED,  NONE,
  NOTED_SILENT,        BY_CHECK | BY_SILENCE | BY_SHARED | BY_RESET,  BY_IO | BY_CHECK | BY_SHARED,                    NONE,              NONE,
  NOTED_WANTED,        BY_ASKING,                                     BY_ASKING | BY_CHECK | BY_SILENCE,               NONE,              NONE,
  NOTED_WANTED_LATER,  BY_CHECK | BY_SILENCE,                         BY_CHECK | BY_PATROL,                            NONE,              NONE,
  NOTED_CHECKING,      BY_ASKING,                                     BY_CHECK,                                        NONE,              NONE,
  NOTED_CHECK_LOST,    BY_SILENCE,                                    BY_CHECK,                                        NONE,              NOTED_CHECKING,
  NOTED_GROUP_KNOWN,   BY_CONTROL | BY_CHECK,                         BY_NOBODY,                                       NONE,              NONE,
  NOTED_OWN_REPORT,    BY_CHECK,                                      BY_CHECK,                                        NONE,              NOTED_GROUP_KNOWN,
  NOTED_RESET_SCOPE,   BY_SILENCE | BY_RESET,                         BY_IO | BY_CHECK | BY_RESET,                     NONE,              NONE,
  NOTED_RESETTING,     BY_SILENCE,                                    BY_RESET,                                        NONE,              NOTED_RESET_SCOPE,
  NOTED_RESET_WORKED,  BY_RESET,                                      BY_RESET,                                        NONE,              NONE,
], 4);

/** A path carries I/O while it is in all of PATH_NEEDS and in none of PATH_BARS. */
export const PATH_NEEDS: u32 = PATH_FLAG_PRESENT | PATH_FLAG_ENABLED;
export const PATH_BARS: u32 =
  PATH_FLAG_FAILED | PATH_FLAG_WRONG_UNIT | PATH_FLAG_REMOVING | PATH_FLAG_UNVERIFIED | PATH_FLAG_UNREGISTERED;

function cell(state: u32, column: usize): u32 {
  return load<u32>(states + <usize>ctz(state) * STATE_BYTES + 4 * column);
}

/** Whether the tables agree with the masks and counts that the code uses. Asked once at init. */
export function checkStates(): void {
  for (let i: u32 = 0; i < STATES; i++) {
    const state = (<u32>1) << i;
    assert(cell(state, 0) === state);
    assert((cell(state, IO) === IO_NEEDS) === ((PATH_NEEDS & state) !== 0));
    assert((cell(state, IO) === IO_NONE) === ((PATH_BARS & state) !== 0));
  }
  for (let i: usize = 0; i < NOTES; i++) {
    assert((load<u32>(notes + i * NOTE_BYTES, NOTE_STATE) !== NONE) === i < NOTES_OF_STATES);
  }
}

/** Whether `by` may do this to each of the states. */
function mayChange(changed: u32, column: usize, by: u32): bool {
  for (let rest = changed; rest !== 0; rest &= rest - 1) {
    if ((cell(rest & -rest, column) & by) === 0) return false;
  }
  return true;
}

/** Whether the path is in the states that its notes, and its other states, need. */
function isSound(path: Path): bool {
  if (path.flags !== 0 && (path.flags & PATH_FLAG_PRESENT) === 0) return false;
  if ((path.flags & PATH_FLAG_STALLED) !== 0 && path.silent === 0) return false;
  for (let i: usize = 0; i < NOTES_OF_STATES; i++) {
    const row = notes + i * NOTE_BYTES;
    if (noted(path, load<u32>(row)) !== 0 && (path.flags & load<u32>(row, NOTE_STATE)) === 0) return false;
  }
  return true;
}

function noted(path: Path, what: u32): u8 {
  return load<u8>(changetype<usize>(path) + what);
}

/** Whether everything noted has the other note that it needs (`with`). */
function isComplete(path: Path): bool {
  for (let i = NOTES_OF_STATES; i < NOTES; i++) {
    const row = notes + i * NOTE_BYTES;
    const other = load<u32>(row, NOTE_WITH);
    if (other !== NONE && noted(path, load<u32>(row)) !== 0 && noted(path, other) === 0) return false;
  }
  return true;
}

/** Whether `by` may note `value`; 0 clears. */
function mayNote(what: u32, value: u8, by: u32): bool {
  for (let i: usize = 0; i < NOTES; i++) {
    const row = notes + i * NOTE_BYTES;
    if (load<u32>(row) === what)
      return ((value !== 0 ? load<u32>(row, NOTE_SET_BY) : load<u32>(row, NOTE_CLEARED_BY)) & by) !== 0;
  }
  return false;
}

/** Notes `value` of the path; `what` is one of NOTED_*, `by` one of BY_*. */
export function pathNotes(path: Path, what: u32, value: u8, by: u32): void {
  if (noted(path, what) === value) return;
  assert(mayNote(what, value, by));
  store<u8>(changetype<usize>(path) + what, value);
  assert(isComplete(path));
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
