// Asymmetric logical unit access (SPC-4 5.15): REPORT TARGET PORT GROUPS and SET TARGET PORT GROUPS.
//
// One report should contain every group and serve all paths of the unit; but a controller may report only its own group, so
// groups missing from a report are requested over paths of their own. Lengths in it are trusted only as far as bytes were
// received.
//
// SET TARGET PORT GROUPS, if allowed, is sent only when there has been no optimized path for a while (a random time, so that not
// every host acts), then once; and after each one the wait before the next doubles, until nobody has set them back for an hour. So
// two hosts that see different paths do not keep switching the array back and forth.

import {
  ALUA_TRANSITIONING,
  EVENT_ALUA_SET,
  PATH_FLAG_FAILED,
  PATH_FLAG_REMOVING,
  PATH_FLAG_UNVERIFIED,
  PATH_FLAG_WRONG_UNIT,
  REASON_ALUA,
} from "../abi";
import { event, now } from "../memory/ring";
import { SECOND } from "../memory/time";
import { Path, Unit } from "../memory/topology";
import { wakeUnit } from "../memory/wake";
import { groupsConsiderSet } from "./alua";
import { checkNote, checkWant } from "./ask";
import { WANT_GROUPS, WANT_SET, groupOf, pathEligible, unitPath } from "./facts";
import { pathAluaState } from "./io-effects";
import { BY_CHECK, NOTED_OWN_REPORT, NOTED_WANTED_LATER, pathNotes } from "./states";
import { groupsSoon } from "./timer";

/** Byte 4: the format of the report, in bits that a first descriptor leaves 0. Byte 5 of the extended format: transition time, s. */
const FORMAT_MASK: u32 = 0x70;
const FORMAT_EXTENDED: u32 = 0x10;
/** Least time between two of them; doubles each time, up to the maximum. */
const SET_PAUSE_NS: u64 = 60 * SECOND;
const SET_PAUSE_NS_MAX: u64 = 3600 * SECOND;

/** Reads a report of the target port groups (SPC-4 6.37) received over `path`. */
export function groupsRead(path: Path, page: usize, bytes: u32): void {
  const unit = path.unit;
  // While it is uncertain where the path leads, the report may be another unit's; it is requested again later.
  if ((path.flags & (PATH_FLAG_FAILED | PATH_FLAG_UNVERIFIED | PATH_FLAG_WRONG_UNIT)) !== 0) {
    pathNotes(path, NOTED_WANTED_LATER, path.wantedLater | WANT_GROUPS, BY_CHECK);
    return;
  }
  if (bytes < 4) return;
  const stated = bswap<u32>(load<u32>(page));
  const end = stated > bytes - 4 ? bytes : 4 + stated;
  let changing = false;
  let told: u32 = 0;
  let first: u32 = 4;
  if (end >= 8 && ((<u32>load<u8>(page, 4)) & FORMAT_MASK) === FORMAT_EXTENDED) {
    first = 8;
    unit.transitionNs = <u64>load<u8>(page, 5) * SECOND;
  }
  for (let at: u32 = first; at + 8 <= end; at += 8 + 4 * <u32>load<u8>(page + at, 7)) {
    const state = (<u32>load<u8>(page + at)) & 15;
    const group = <u32>bswap<u16>(load<u16>(page + at, 2));
    if (state === ALUA_TRANSITIONING) changing = true;
    told |= groupState(path, group, state);
  }
  if (changing) groupsSoon(path);
  askOthers(path, unit.paths & ~told);
}

/** Sets the state of a group's paths as reported over `teller`. Returns their slots, as a mask. */
function groupState(teller: Path, group: u32, state: u32): u32 {
  const unit = teller.unit;
  const isOwn = groupOf(teller) === group;
  let slots: u32 = 0;
  for (let rest = unit.paths; rest !== 0; rest &= rest - 1) {
    const path = unitPath(unit, ctz(rest));
    if (path.groupKnown === 0 || groupOf(path) !== group) continue;
    slots |= rest & -rest;
    if (!isOwn) pathNotes(path, NOTED_OWN_REPORT, 0, BY_CHECK);
    pathAluaState(path, state, 0);
  }
  return slots;
}

/** Paths whose groups are missing from the report are asked themselves: now, and from then on at each check. */
function askOthers(teller: Path, slots: u32): void {
  for (let rest = slots; rest !== 0; rest &= rest - 1) {
    const path = unitPath(teller.unit, ctz(rest));
    if (path.groupKnown === 0 || path.ownReport !== 0) continue;
    pathNotes(path, NOTED_OWN_REPORT, 1, BY_CHECK);
    if (path === teller || (path.flags & (PATH_FLAG_FAILED | PATH_FLAG_WRONG_UNIT | PATH_FLAG_REMOVING)) !== 0)
      continue;
    checkWant(path, WANT_GROUPS);
  }
}

/** A path whose group takes no I/O, or has changed: the report is read again, over itself or over a path that surely answers. */
export function groupsWanted(path: Path): void {
  const unit = path.unit;
  if (unit.usable !== 0 && path.ownReport === 0) checkWant(unitPath(unit, ctz(unit.usable)), WANT_GROUPS);
  else checkWant(path, WANT_GROUPS);
}

/** The unit's timer has fired: sends SET TARGET PORT GROUPS if it is still needed. */
export function groupsTimer(unit: Unit): void {
  if (unit.aluaSetNs === 0) return;
  if (unit.aluaSetNs > now) return wakeUnit(unit, unit.aluaSetNs);
  unit.aluaSetNs = 0;
  if (unit.usable === 0) return;
  let best = unitPath(unit, ctz(unit.usable));
  for (let rest = unit.usable; rest !== 0; rest &= rest - 1) {
    const path = unitPath(unit, ctz(rest));
    if (path.priority > best.priority) best = path;
  }
  if (best.groupKnown === 0 || !pathEligible(best)) return;
  // Nobody has set them back since the last pause was over: that fight is over, too.
  if (now >= unit.aluaSetNotBeforeNs + SET_PAUSE_NS_MAX) unit.aluaPauseNs = 0;
  unit.aluaPauseNs = unit.aluaPauseNs === 0 ? SET_PAUSE_NS : min(unit.aluaPauseNs * 2, SET_PAUSE_NS_MAX);
  unit.aluaSetNotBeforeNs = now + unit.aluaPauseNs;
  checkWant(best, WANT_SET);
}

/** SET TARGET PORT GROUPS has been answered: its effect is read. */
export function groupsSetDone(path: Path, accepted: bool): void {
  const unit = path.unit;
  event(EVENT_ALUA_SET, REASON_ALUA, unit.index, path.index, groupOf(path), accepted ? 1 : 0, 0, 0);
  checkNote(path, WANT_GROUPS);
  groupsConsiderSet(unit);
}
