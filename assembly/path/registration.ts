// Registrations for persistent reservations (SPC-4 5.13). The core knows no keys, and sends no PERSISTENT RESERVE OUT: control
// does. Here it is kept that nothing is sent where control could not register first, or where another host has preempted this one.
//
// - While a unit requires it (UNIT_SET_REGISTRATION), a path that is added, recovers, leads to its unit again, or reports that its
//   registration may be gone gets no I/O (PATH_FLAG_UNREGISTERED). As soon as it is known to lead to its unit control is asked to
//   register it, with a number. Only an answer with the last number counts: what was asked before may have been overtaken.
// - An answer may be older than what the device has to tell: another host has preempted this one since, and with the power the
//   reservation was lost that would have kept our writes out. A device tells one command of one such event, and carries out the others.
//   So a path that control has registered is checked first, until the device has nothing left to tell; then it carries I/O. For the same
//   reason a path that has not answered for a while gets one command first, and the others behind its answer.
// - Requests wait meanwhile as for a path whose identity is being checked.
// - Control finds its key gone although a reservation's owner may have changed: the unit is preempted. All its requests fail, and
//   nothing is sent, not even a reset, until control says otherwise; then all paths have to be registered anew. But not before what was
//   under way can change the medium no more: the host may still keep it, and where this initiator is registered again the device would
//   carry it out, over what the other host has written. Leftovers of an earlier daemon are waited for in any case: its host may have
//   been preempted, and let in again, shortly before it ended.
// - In cluster mode a unit keeps to one path, unless control says that its reservation is for registrants (UNIT_SET_REGISTRANTS). A device
//   that reports a conflict, a reset or a preemption calls that into question: the unit is static until control has looked again.

import {
  ERROR_NOT_ASKED,
  ERROR_RANGE,
  EVENT_REGISTRATION_ASKED,
  PATH_FLAG_UNREGISTERED,
  POLICY_STATIC,
  REASON_RESERVATION,
  REGISTRATION_CONTROL,
  REGISTRATION_PREEMPTED,
  REGISTRATION_RESET,
} from "../abi";
import { event, hostNow } from "../memory/ring";
import { MILLISECOND } from "../memory/time";
import { Path, Unit } from "../memory/topology";
import {
  ASC_PARAMETERS_CHANGED,
  ASC_RESET,
  KEY_UNIT_ATTENTION,
  SENSE_DEFERRED,
  ascOf,
  ascqOf,
  keyOf,
} from "../scsi/sense";
import { selectionSetPolicy } from "../selection/selection";
import { checkWant } from "./ask";
import { PROOF_NEEDED, PROOF_NONE, PROOF_SENT, WANT_PROOF, unitPath } from "./facts";
import { clusterMode } from "./mode";
import { BY_CHECK, BY_CONTROL, PATH_BARS, pathEnters, pathLeaves } from "./states";

/** Values of UNIT_SET_REGISTRATION. */
const REQUIRED_NOT: u32 = 0;
const REQUIRED_OF_ALL: u32 = 2;
/** 2A/03: reservations preempted; 2A/04: reservations released; 2A/05: registrations preempted. */
const ASCQ_RESERVATIONS_PREEMPTED: u32 = 0x03;
const ASCQ_REGISTRATIONS_PREEMPTED: u32 = 0x05;

/** Longer than commands usually take, and shorter than an array is away that loses its power. */
const UNHEARD_NS: u64 = 20 * MILLISECOND;

let lastAsked: u32 = 0;

/** The path's registration may be gone: it gets no I/O before it is registered, if its unit requires that. The caller refreshes the unit. */
export function registrationDoubt(path: Path, why: u32, by: u32): void {
  if (path.unit.registration === 0) return;
  const isWaiting = (path.flags & PATH_FLAG_UNREGISTERED) !== 0;
  const wasPreempted = isWaiting && path.registrationWhy === REGISTRATION_PREEMPTED;
  pathEnters(path, PATH_FLAG_UNREGISTERED, by);
  path.registrationAsked = 0;
  path.registrationProof = PROOF_NONE;
  // That another host removed the key outweighs what the device tells after it: a reset alone leaves the unit to this one.
  if (!wasPreempted) path.registrationWhy = why;
  if (why === REGISTRATION_RESET || why === REGISTRATION_PREEMPTED) registrantsSet(path.unit, 0);
}

/** UNIT_SET_REGISTRANTS. Returns whether the policy has changed; then the caller refreshes the unit. */
export function registrantsSet(unit: Unit, on: u32): bool {
  unit.registrants = <u8>on;
  if (on !== 0 || !clusterMode || unit.policy === POLICY_STATIC) return false;
  selectionSetPolicy(unit.selection, POLICY_STATIC);
  unit.policy = POLICY_STATIC;
  return true;
}

/** What sense data says of a path's registration: REGISTRATION_*, or 0. */
export function registrationSense(sense: u32): u32 {
  if (keyOf(sense) !== KEY_UNIT_ATTENTION || (sense & SENSE_DEFERRED) !== 0) return 0;
  if (ascOf(sense) === ASC_RESET) return REGISTRATION_RESET;
  const ascq = ascqOf(sense);
  const preempted = ascq >= ASCQ_RESERVATIONS_PREEMPTED && ascq <= ASCQ_REGISTRATIONS_PREEMPTED;
  return ascOf(sense) === ASC_PARAMETERS_CHANGED && preempted ? REGISTRATION_PREEMPTED : 0;
}

/** Asks control to register the path, if it waits for that and for nothing else: a key must not get to another unit. */
export function registrationAsk(path: Path, sense: u32): void {
  if ((path.flags & PATH_BARS) !== PATH_FLAG_UNREGISTERED || path.registrationAsked !== 0) return;
  if (path.registrationProof !== PROOF_NONE) return;
  const unit = path.unit;
  if (unit.preempted !== 0 || (unit.draining !== 0 && unit.harmful !== 0)) return;
  unit.draining = 0;
  lastAsked = max<u32>(lastAsked + 1, 1);
  path.registrationAsked = lastAsked;
  event(
    EVENT_REGISTRATION_ASKED,
    REASON_RESERVATION,
    path.unitHandle,
    path.index,
    path.registrationWhy,
    lastAsked,
    sense,
    0,
  );
}

/** PATH_SET_REGISTERED. The caller refreshes the unit. */
export function registrationSet(path: Path, asked: u32): i32 {
  if (asked === 0) registrationDoubt(path, REGISTRATION_CONTROL, BY_CONTROL);
  else if (asked !== path.registrationAsked) return -(<i32>ERROR_NOT_ASKED);
  else {
    path.registrationAsked = 0;
    path.registrationProof = PROOF_NEEDED;
    checkWant(path, WANT_PROOF);
  }
  return 0;
}

/** A check has ended, and the device had nothing to tell. Returns whether the path is registered now; then the caller refreshes the unit. */
export function registrationProven(path: Path): bool {
  // Sent for an earlier registration, it says nothing of this one.
  if (path.registrationProof !== PROOF_SENT) return false;
  registered(path, BY_CHECK);
  return true;
}

/**
 * Whether so much time has passed since a path's last answer that its device may have several events to tell, each of them to one command. Not
 * while the unit needs no registration.
 */
export function registrationUnheard(path: Path): bool {
  return path.unit.registration !== 0 && hostNow > path.lastAnswerNs + UNHEARD_NS;
}

/** Whether the path still waits for the end of such a check. */
export function registrationUnproven(path: Path): bool {
  return path.registrationProof !== PROOF_NONE;
}

function registered(path: Path, by: u32): void {
  path.registrationAsked = 0;
  path.registrationProof = PROOF_NONE;
  pathLeaves(path, PATH_FLAG_UNREGISTERED, by);
}

/** UNIT_SET_REGISTRATION. The caller refreshes the unit. */
export function registrationRequire(unit: Unit, required: u32): i32 {
  if (required > REQUIRED_OF_ALL) return -(<i32>ERROR_RANGE);
  unit.registration = required === REQUIRED_NOT ? 0 : 1;
  // Nothing would call it into question any more.
  if (required === REQUIRED_NOT) registrantsSet(unit, 0);
  for (let rest = unit.paths; rest !== 0; rest &= rest - 1) {
    const path = unitPath(unit, ctz(rest));
    if (required === REQUIRED_NOT) registered(path, BY_CONTROL);
    else if (required === REQUIRED_OF_ALL) registrationDoubt(path, REGISTRATION_CONTROL, BY_CONTROL);
  }
  return 0;
}

/** Whether an earlier registration of any path may be gone: all are asked anew. */
export function registrationsDoubt(unit: Unit): void {
  for (let rest = unit.paths; rest !== 0; rest &= rest - 1) {
    registrationDoubt(unitPath(unit, ctz(rest)), REGISTRATION_CONTROL, BY_CONTROL);
  }
}
