// Questions about paths that their records answer.

import {
  ALUA_NON_OPTIMIZED,
  ALUA_OFFLINE,
  ALUA_STANDBY,
  ALUA_TRANSITIONING,
  ALUA_UNAVAILABLE,
  ALUA_UNKNOWN,
  PATH_FLAG_ENABLED,
  PATH_FLAG_FAILED,
  PATH_FLAG_PRESENT,
  PATH_FLAG_REMOVING,
  PATH_FLAG_UNVERIFIED,
  PATH_FLAG_WRONG_UNIT,
  UNIT_SLOTS,
} from "../abi";
import { pathAt } from "../memory/memory";
import { Path, Unit } from "../memory/topology";

export const WANT_HEALTH: u8 = 1;
export const WANT_IDENTITY: u8 = 2;
export const WANT_GROUPS: u8 = 4;
export const WANT_SET: u8 = 8;

const UNUSABLE: u32 = PATH_FLAG_FAILED | PATH_FLAG_WRONG_UNIT | PATH_FLAG_REMOVING | PATH_FLAG_UNVERIFIED;

/** The path in a slot of a unit. */
export function unitPath(u: Unit, slot: u32): Path {
  return pathAt(load<u32>(changetype<usize>(u) + UNIT_SLOTS + <usize>slot * 4));
}

/** Whether a port group in this state takes I/O, or may do so; 4 is "logical block dependent" (SPC-4 5.15.2.4). */
export function takesIo(alua: u8): bool {
  return <u32>alua <= ALUA_NON_OPTIMIZED || alua === 4 || <u32>alua === ALUA_UNKNOWN;
}

/** Whether it may get I/O at all. */
export function pathEligible(p: Path): bool {
  const wanted = PATH_FLAG_PRESENT | PATH_FLAG_ENABLED;
  return (p.flags & (wanted | UNUSABLE)) === wanted && takesIo(p.alua);
}

/** Whether a path of the unit may soon take I/O that takes none now, because its identity is being checked. */
export function unitUnverified(u: Unit): bool {
  const wanted = PATH_FLAG_ENABLED | PATH_FLAG_UNVERIFIED;
  const mask = wanted | UNUSABLE;
  for (let rest = u.paths & ~u.eligible; rest !== 0; rest &= rest - 1) {
    if ((unitPath(u, ctz(rest)).flags & mask) === wanted) return true;
  }
  return false;
}

/** Whether a path of the unit takes no I/O for no other reason than that its port group is in transition. */
export function unitInTransition(u: Unit): bool {
  const wanted = PATH_FLAG_PRESENT | PATH_FLAG_ENABLED;
  for (let rest = u.paths & ~u.eligible; rest !== 0; rest &= rest - 1) {
    const p = unitPath(u, ctz(rest));
    if ((p.flags & (wanted | UNUSABLE)) === wanted && <u32>p.alua === ALUA_TRANSITIONING) return true;
  }
  return false;
}

/** The access state that sense data 02/04/xx tells (`sense` as `readSense` answers it). */
export function aluaOfSense(sense: u32): u32 {
  const ascq = (sense >> 16) & 0xff;
  if (ascq === 0x0a) return ALUA_TRANSITIONING;
  if (ascq === 0x0b) return ALUA_STANDBY;
  return ascq === 0x0c ? ALUA_UNAVAILABLE : ALUA_OFFLINE;
}
