// Correlated failures: when a path fails or stalls, the cause may be the initiator port, the target port or the controller, which
// other paths share. Those paths become suspects: I/O avoids them as long as there are others, until a probe has answered. One
// probe serves all suspects of the same nexus (initiator port and target port), and one fault costs at most PROBES_MAX of them,
// however many units there are. Where several cores share the machine's units, each tells the others through its host what it has
// found out about a component (EVENT_SHARED_FAULT, EVENT_SHARED_ANSWER), and takes what the others tell like its own.

import {
  EVENT_SHARED_ANSWER,
  EVENT_SHARED_FAULT,
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
import { tellsSharers } from "../path/mode";
import { BY_SHARED, NOTED_SILENT, pathEnters, pathLeaves, pathNotes } from "../path/states";
import { unitRefresh } from "../path/tiers";

const PROBES_MAX: u32 = 8;
const probes: usize = memory.data(8 * 4);
let probeCount: u32 = 0;

function shares(a: u32, b: u32): bool {
  return a === b && a !== NONE;
}

/** A path has failed or stalled: paths sharing a component become suspects and are probed, by a READ if it did not answer I/O. */
export function sharersSuspect(path: Path): void {
  // A suspect's own fault was expected: paths sharing a component are suspects already.
  if ((path.flags & PATH_FLAG_SUSPECT) !== 0) return;
  const initiatorPort = path.initiatorPort;
  const targetPort = path.targetPort;
  const controller = path.controller;
  if (initiatorPort === NONE && targetPort === NONE && controller === NONE) return;
  const silent = path.silent !== 0;
  suspect(path, initiatorPort, targetPort, controller, silent, PROBES_MAX);
  if (tellsSharers) event(EVENT_SHARED_FAULT, silent ? 1 : 0, NONE, NONE, initiatorPort, targetPort, controller, 0);
}

/**
 * Another core has told of a fault: our paths sharing a component become suspects.
 * @param probesMax how many of them may be probed
 */
export function sharersToldOfFault(
  initiatorPort: u32,
  targetPort: u32,
  controller: u32,
  silent: bool,
  probesMax: u32,
): void {
  suspect(null, initiatorPort, targetPort, controller, silent, min(probesMax, PROBES_MAX));
}

function suspect(
  origin: Path | null,
  initiatorPort: u32,
  targetPort: u32,
  controller: u32,
  silent: bool,
  probesMax: u32,
): void {
  const gone = PATH_FLAG_FAILED | PATH_FLAG_REMOVING | PATH_FLAG_SUSPECT;
  probeCount = 0;
  for (let i: u32 = 0; i < pathCount; i++) {
    const other = pathAt(i);
    if ((other.flags & (PATH_FLAG_PRESENT | gone)) !== PATH_FLAG_PRESENT || other === origin) continue;
    const isShared =
      shares(initiatorPort, other.initiatorPort) ||
      shares(targetPort, other.targetPort) ||
      shares(controller, other.controller);
    if (!isShared) continue;
    pathEnters(other, PATH_FLAG_SUSPECT, BY_SHARED);
    if (silent) pathNotes(other, NOTED_SILENT, 1, BY_SHARED);
    event(EVENT_SUSPECT, REASON_SHARED_COMPONENT, other.unitHandle, other.index, 1, 0, 0, 0);
    unitRefresh(other.unit, REASON_SHARED_COMPONENT, 0, 0);
    choose(other, probesMax);
  }
  for (let i: u32 = 0; i < probeCount; i++) checkWant(pathAt(load<u32>(probes + <usize>i * 4)), WANT_HEALTH);
}

function isOfNexus(path: Path, initiatorPort: u32, targetPort: u32): bool {
  return path.initiatorPort === initiatorPort && path.targetPort === targetPort;
}

/** The first suspect of each nexus is probed. */
function choose(path: Path, probesMax: u32): void {
  if (probeCount >= probesMax) return;
  for (let i: u32 = 0; i < probeCount; i++) {
    const probe = pathAt(load<u32>(probes + <usize>i * 4));
    if (isOfNexus(path, probe.initiatorPort, probe.targetPort)) return;
  }
  store<u32>(probes + <usize>probeCount * 4, path.index);
  probeCount++;
}

/** A suspect has answered: the others of its nexus are cleared as well. */
export function sharerAnswers(path: Path): void {
  if ((path.flags & PATH_FLAG_SUSPECT) === 0) return;
  const initiatorPort = path.initiatorPort;
  const targetPort = path.targetPort;
  sharerToldOfAnswer(initiatorPort, targetPort);
  if (tellsSharers) event(EVENT_SHARED_ANSWER, 0, NONE, NONE, initiatorPort, targetPort, 0, 0);
}

/** The suspects of a nexus are cleared: one of them, here or in another core, has answered. */
export function sharerToldOfAnswer(initiatorPort: u32, targetPort: u32): void {
  for (let i: u32 = 0; i < pathCount; i++) {
    const other = pathAt(i);
    if ((other.flags & PATH_FLAG_SUSPECT) !== 0 && isOfNexus(other, initiatorPort, targetPort)) clear(other);
  }
}

function clear(path: Path): void {
  pathLeaves(path, PATH_FLAG_SUSPECT, BY_SHARED);
  if ((path.flags & PATH_FLAG_STALLED) === 0) pathNotes(path, NOTED_SILENT, 0, BY_SHARED);
  event(EVENT_SUSPECT, REASON_SHARED_COMPONENT, path.unitHandle, path.index, 0, 0, 0, 0);
  unitRefresh(path.unit, REASON_SHARED_COMPONENT, 0, 0);
}
