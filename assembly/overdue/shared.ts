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
import { BY_SHARED, NOTED_SILENT, pathEnters, pathLeaves, pathNotes } from "../path/states";
import { unitRefresh } from "../path/tiers";

const PROBES_MAX: u32 = 8;
const probes: usize = memory.data(8 * 4);
let probeCount: u32 = 0;

function shares(a: u32, b: u32): bool {
  return a === b && a !== NONE;
}

function sharesComponent(path: Path, other: Path): bool {
  return (
    shares(path.initiatorPort, other.initiatorPort) ||
    shares(path.targetPort, other.targetPort) ||
    shares(path.controller, other.controller)
  );
}

function sameNexus(path: Path, other: Path): bool {
  return path.initiatorPort === other.initiatorPort && path.targetPort === other.targetPort;
}

/** A path has failed or stalled: paths sharing a component become suspects and are probed, by a READ if it did not answer I/O. */
export function sharersSuspect(path: Path): void {
  // A suspect's own fault was expected: paths sharing a component are suspects already.
  if ((path.flags & PATH_FLAG_SUSPECT) !== 0) return;
  if (path.initiatorPort === NONE && path.targetPort === NONE && path.controller === NONE) return;
  const gone = PATH_FLAG_FAILED | PATH_FLAG_REMOVING | PATH_FLAG_SUSPECT;
  probeCount = 0;
  for (let i: u32 = 0; i < pathCount; i++) {
    const other = pathAt(i);
    if (
      (other.flags & (PATH_FLAG_PRESENT | gone)) !== PATH_FLAG_PRESENT ||
      other === path ||
      !sharesComponent(path, other)
    )
      continue;
    pathEnters(other, PATH_FLAG_SUSPECT, BY_SHARED);
    if (path.silent !== 0) pathNotes(other, NOTED_SILENT, 1, BY_SHARED);
    event(EVENT_SUSPECT, REASON_SHARED_COMPONENT, other.unitHandle, other.index, 1, 0, 0, 0);
    unitRefresh(other.unit, REASON_SHARED_COMPONENT, 0, 0);
    choose(other);
  }
  for (let i: u32 = 0; i < probeCount; i++) checkWant(pathAt(load<u32>(probes + <usize>i * 4)), WANT_HEALTH);
}

/** The first suspect of each nexus is probed. */
function choose(path: Path): void {
  if (probeCount === PROBES_MAX) return;
  for (let i: u32 = 0; i < probeCount; i++) {
    if (sameNexus(path, pathAt(load<u32>(probes + <usize>i * 4)))) return;
  }
  store<u32>(probes + <usize>probeCount * 4, path.index);
  probeCount++;
}

/** A suspect has answered: the others of its nexus are cleared as well. */
export function sharerAnswers(path: Path): void {
  if ((path.flags & PATH_FLAG_SUSPECT) === 0) return;
  for (let i: u32 = 0; i < pathCount; i++) {
    const other = pathAt(i);
    if ((other.flags & PATH_FLAG_SUSPECT) !== 0 && (other === path || sameNexus(path, other))) clear(other);
  }
}

function clear(path: Path): void {
  pathLeaves(path, PATH_FLAG_SUSPECT, BY_SHARED);
  if ((path.flags & PATH_FLAG_STALLED) === 0) pathNotes(path, NOTED_SILENT, 0, BY_SHARED);
  event(EVENT_SUSPECT, REASON_SHARED_COMPONENT, path.unitHandle, path.index, 0, 0, 0, 0);
  unitRefresh(path.unit, REASON_SHARED_COMPONENT, 0, 0);
}
