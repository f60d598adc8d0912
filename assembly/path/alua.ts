// SET TARGET PORT GROUPS (SPC-4 6.45): whether it is needed, when, and its parameter list. The rules are in groups.ts.

import { ALUA_NON_OPTIMIZED, ALUA_OPTIMIZED } from "../abi";
import { random } from "../memory/random";
import { now } from "../memory/ring";
import { SECOND } from "../memory/time";
import { Path, Unit } from "../memory/topology";
import { wakeUnit } from "../memory/wake";
import { groupOf, unitPath } from "./facts";

/** How long (up to twice this) there must be no optimized path before SET TARGET PORT GROUPS. */
const SET_AFTER_NS: u64 = 2 * SECOND;

/** Decides whether and when SET TARGET PORT GROUPS is needed. */
export function groupsConsiderSet(unit: Unit): void {
  const wanted =
    unit.aluaExplicit !== 0 && unit.usable !== 0 && unitPath(unit, ctz(unit.usable)).alua === <u8>ALUA_NON_OPTIMIZED;
  if (!wanted) {
    unit.aluaSetNs = 0;
    return;
  }
  if (unit.aluaSetNs === 0) {
    const waitNs = SET_AFTER_NS + (random() % SET_AFTER_NS);
    unit.aluaSetNs = max(now + waitNs, unit.aluaSetNotBeforeNs);
  }
  wakeUnit(unit, unit.aluaSetNs);
}

/** Writes the parameter list (SPC-4 6.45) that makes the path's group optimized; returns its length. */
export function groupsBuildSet(path: Path, page: usize): u32 {
  store<u64>(page, 0);
  store<u8>(page, <u8>ALUA_OPTIMIZED, 4);
  store<u16>(page, bswap<u16>(<u16>groupOf(path)), 6);
  return 8;
}
