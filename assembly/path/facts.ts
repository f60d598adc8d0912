// Questions about paths that can be answered from their records.

import {
  ALUA_NON_OPTIMIZED,
  ALUA_OFFLINE,
  ALUA_STANDBY,
  ALUA_TRANSITIONING,
  ALUA_UNAVAILABLE,
  ALUA_UNKNOWN,
  PATH_FLAG_ENABLED,
  PATH_FLAG_UNREGISTERED,
  PATH_FLAG_UNVERIFIED,
  UNIT_SLOTS,
} from "../abi";
import { pathAt } from "../memory/memory";
import { Path, Unit } from "../memory/topology";
import { ascqOf } from "../scsi/sense";
import { PATH_BARS, PATH_NEEDS } from "./states";

export const WANT_HEALTH: u8 = 1;
export const WANT_IDENTITY: u8 = 2;
export const WANT_GROUPS: u8 = 4;
export const WANT_SET: u8 = 8;
export const WANT_PROOF: u8 = 16;

/** Values of Path.registrationProof: none is needed; a check has to be sent; one was sent, after the registration was granted. */
export const PROOF_NONE: u8 = 0;
export const PROOF_NEEDED: u8 = 1;
export const PROOF_SENT: u8 = 2;

/** A mask of slots with every slot of a unit. */
export const ALL_SLOTS: u32 = u32.MAX_VALUE;

/** The path in a slot of a unit. */
export function unitPath(unit: Unit, slot: u32): Path {
  return pathAt(load<u32>(changetype<usize>(unit) + UNIT_SLOTS + <usize>slot * 4));
}

/** Logical block dependent (SPC-4 5.15.2.4). */
const ALUA_LBA_DEPENDENT: u8 = 4;

/** Whether a port group in this state accepts I/O, or may accept it. */
export function takesIo(alua: u8): bool {
  return <u32>alua <= ALUA_NON_OPTIMIZED || alua === ALUA_LBA_DEPENDENT || <u32>alua === ALUA_UNKNOWN;
}

/** Its target port group is in the low half, its relative target port in the high one. */
const GROUP_MASK: u32 = 0xffff;

/** The target port group of a path whose group is known. */
export function groupOf(path: Path): u32 {
  return path.targetPortGroup & GROUP_MASK;
}

/** Whether it may get I/O at all. */
export function pathEligible(path: Path): bool {
  return (path.flags & (PATH_NEEDS | PATH_BARS)) === PATH_NEEDS && takesIo(path.alua);
}

/** What bars a path from I/O for a moment: its identity is being checked, or it is being registered. */
const PASSING: u32 = PATH_FLAG_UNVERIFIED | PATH_FLAG_UNREGISTERED;

/** Whether some path of the unit gets no I/O only for such a reason, and may soon get some. */
export function unitAwaitsPath(unit: Unit): bool {
  if (unit.preempted !== 0) return false;
  const mask = PATH_FLAG_ENABLED | (PATH_BARS & ~PASSING);
  for (let rest = unit.paths & ~unit.eligible; rest !== 0; rest &= rest - 1) {
    const flags = unitPath(unit, ctz(rest)).flags;
    if ((flags & PASSING) !== 0 && (flags & mask) === PATH_FLAG_ENABLED) return true;
  }
  return false;
}

/** Whether some path of the unit gets no I/O only because its port group is in transition. */
export function unitInTransition(unit: Unit): bool {
  for (let rest = unit.paths & ~unit.eligible; rest !== 0; rest &= rest - 1) {
    const path = unitPath(unit, ctz(rest));
    if ((path.flags & (PATH_NEEDS | PATH_BARS)) === PATH_NEEDS && <u32>path.alua === ALUA_TRANSITIONING) return true;
  }
  return false;
}

/** 04/0A: in transition; 04/0B: standby; 04/0C: unavailable (SPC-4 5.15.2). */
const ASCQ_TRANSITION: u32 = 0x0a;
const ASCQ_STANDBY: u32 = 0x0b;
const ASCQ_UNAVAILABLE: u32 = 0x0c;

/** The access state that sense data 02/04/xx reports (`sense` as returned by `readSense`). */
export function aluaOfSense(sense: u32): u32 {
  const ascq = ascqOf(sense);
  if (ascq === ASCQ_TRANSITION) return ALUA_TRANSITIONING;
  if (ascq === ASCQ_STANDBY) return ALUA_STANDBY;
  return ascq === ASCQ_UNAVAILABLE ? ALUA_UNAVAILABLE : ALUA_OFFLINE;
}
