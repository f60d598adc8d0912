// Correlated failures: when a path fails or stalls, the cause may be the initiator port, the target port or the controller, which
// other paths share. Those paths become suspects: I/O avoids them as long as there are others, until a probe has answered. One
// probe serves all suspects of the same nexus (initiator port and target port), and one fault costs at most PROBES_MAX of them,
// however many units there are.

import {
  EVENT_SUSPECT,
  PATH_FLAG_FAILED,
  PATH_FLAG_PRESENT,
  PATH_FLAG_REMOVING,
  PATH_FLAG_STALLED,
  PATH_FLAG_SUSPECT,
  REASON_SHARED_COMPONENT,
} from "../abi";
import { pathAt, pathCount } from "../memory/memory";
import { NONE, event } from "../memory/ring";
import { Path } from "../memory/topology";
import { checkWant } from "../path/ask";
import { WANT_HEALTH } from "../path/facts";
import { BY_SHARED, pathEnters, pathLeaves } from "../path/states";
import { unitRefresh } from "../path/tiers";

const PROBES_MAX: u32 = 8;
const probes: usize = memory.data(8 * 4);
let probeCount: u32 = 0;

function shares(a: u32, b: u32): bool {
  return a === b && a !== NONE;
}

function sharesComponent(p: Path, other: Path): bool {
  return (
    shares(p.initiatorPort, other.initiatorPort) ||
    shares(p.targetPort, other.targetPort) ||
    shares(p.controller, other.controller)
  );
}

function sameNexus(p: Path, other: Path): bool {
  return p.initiatorPort === other.initiatorPort && p.targetPort === other.targetPort;
}

/** A path has failed or stalled: paths sharing a component become suspects and are probed, by a READ if it did not answer I/O. */
export function sharersSuspect(p: Path): void {
  // A suspect's own fault was expected: paths sharing a component are suspects already.
  if ((p.flags & PATH_FLAG_SUSPECT) !== 0) return;
  if (p.initiatorPort === NONE && p.targetPort === NONE && p.controller === NONE) return;
  const gone = PATH_FLAG_FAILED | PATH_FLAG_REMOVING | PATH_FLAG_SUSPECT;
  probeCount = 0;
  for (let i: u32 = 0; i < pathCount; i++) {
    const other = pathAt(i);
    if ((other.flags & (PATH_FLAG_PRESENT | gone)) !== PATH_FLAG_PRESENT || other === p || !sharesComponent(p, other))
      continue;
    pathEnters(other, PATH_FLAG_SUSPECT, BY_SHARED);
    other.silent |= p.silent;
    event(EVENT_SUSPECT, REASON_SHARED_COMPONENT, other.unitHandle, other.index, 1, 0, 0, 0);
    unitRefresh(other.unit, REASON_SHARED_COMPONENT, 0, 0);
    choose(other);
  }
  for (let i: u32 = 0; i < probeCount; i++) checkWant(pathAt(load<u32>(probes + <usize>i * 4)), WANT_HEALTH);
}

/** The first suspect of each nexus is probed. */
function choose(p: Path): void {
  if (probeCount === PROBES_MAX) return;
  for (let i: u32 = 0; i < probeCount; i++) {
    if (sameNexus(p, pathAt(load<u32>(probes + <usize>i * 4)))) return;
  }
  store<u32>(probes + <usize>probeCount * 4, p.index);
  probeCount++;
}

/** A suspect has answered: the others of its nexus are cleared as well. */
export function sharerAnswers(p: Path): void {
  if ((p.flags & PATH_FLAG_SUSPECT) === 0) return;
  for (let i: u32 = 0; i < pathCount; i++) {
    const other = pathAt(i);
    if ((other.flags & PATH_FLAG_SUSPECT) !== 0 && (other === p || sameNexus(p, other))) clear(other);
  }
}

function clear(p: Path): void {
  pathLeaves(p, PATH_FLAG_SUSPECT, BY_SHARED);
  if ((p.flags & PATH_FLAG_STALLED) === 0) p.silent = 0;
  event(EVENT_SUSPECT, REASON_SHARED_COMPONENT, p.unitHandle, p.index, 0, 0, 0, 0);
  unitRefresh(p.unit, REASON_SHARED_COMPONENT, 0, 0);
}
