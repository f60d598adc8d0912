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
export function groupsConsiderSet(u: Unit): void {
  const wanted = u.aluaExplicit !== 0 && u.usable !== 0 && unitPath(u, ctz(u.usable)).alua === <u8>ALUA_NON_OPTIMIZED;
  if (!wanted) {
    u.aluaSetNs = 0;
    return;
  }
  if (u.aluaSetNs === 0) {
    const waitNs = SET_AFTER_NS + (random() % SET_AFTER_NS);
    u.aluaSetNs = max(now + waitNs, u.aluaSetNotBeforeNs);
  }
  wakeUnit(u, u.aluaSetNs);
}

/** Writes the parameter list (SPC-4 6.45) that makes the path's group optimized; returns its length. */
export function groupsBuildSet(p: Path, page: usize): u32 {
  store<u64>(page, 0);
  store<u8>(page, <u8>ALUA_OPTIMIZED, 4);
  store<u16>(page, bswap<u16>(<u16>groupOf(p)), 6);
  return 8;
}
