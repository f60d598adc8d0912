// Turns the settings of units, paths and the whole system into calls of the core's exports.

import * as abi from "../../abi.ts";
import { ENTRIES, sectionOf } from "../../settings/settings-table.ts";
import type { FoundPath } from "../../discovery/discover.ts";
import type { Effective } from "../settings/effective.ts";
import type { Path, Unit } from "../inventory/inventory.ts";
import { policyCode, policyNumbers } from "../settings/policies.ts";
import { modeSet, pathSet, unitSet, type CoreCall } from "./reactor-port.ts";
import type { Snapshot } from "./snapshot.ts";
import { referencePath, transferBlocksMax, type Interned } from "../inventory/unit-facts.ts";

/** What the device can do; for a unit that is added or rescanned. */
export function deviceCalls(unit: Unit, handle: number, paths: readonly FoundPath[]): CoreCall[] {
  const { blockBytes, bytes } = unit.facts;
  const limits = referencePath(paths)?.probe.details?.limits ?? null;
  return [
    unitSet(handle, abi.UNIT_SET_BLOCK_BYTES, blockBytes),
    unitSet(handle, abi.UNIT_SET_BLOCKS, bytes / blockBytes),
    unitSet(handle, abi.UNIT_SET_TRANSFER_BLOCKS_MAX, transferBlocksMax(paths, blockBytes)),
    unitSet(handle, abi.UNIT_SET_CAPABILITIES, unit.capabilities),
    unitSet(handle, abi.UNIT_SET_UNMAP_BLOCKS_MAX, limits?.unmapBlocksMax ?? 0),
    unitSet(handle, abi.UNIT_SET_WRITE_SAME_BLOCKS_MAX, limits?.writeSameBlocksMax ?? 0),
  ];
}

/** What the table of settings says of the core, by the kind of call. */
const IN_CORE = ENTRIES.flatMap(([key, { core }]) => (core === undefined ? [] : [{ key, core }]));
/** All but the policy, which is more than one number. */
const OF_UNITS = IN_CORE.filter(({ key, core }) => core.startsWith("UNIT_SET_") && key !== "policy");
const MODES = IN_CORE.filter(({ core }) => core.startsWith("MODE_"));
const PATROL = MODES.filter(({ key }) => sectionOf(key) === "patrol");

/** The timeouts and other settings of a unit that may change while I/O runs, without its policy. */
export function unitSettingCalls(unit: Unit, handle: number, effective: Effective): CoreCall[] {
  return OF_UNITS.map(({ key, core }) => unitSet(handle, abi[core], effective.inCore(key, unit)));
}

/** The part of the policy that does not depend on the paths. */
export function plainPolicyCalls(unit: Unit, handle: number, effective: Effective): CoreCall[] {
  const policy = effective.policy(unit);
  const calls = [
    // First: in cluster mode the core refuses the policy without it.
    unitSet(handle, abi.UNIT_SET_REGISTRANTS, effective.isForRegistrants(unit) ? 1 : 0),
    unitSet(handle, abi.UNIT_SET_POLICY, policyCode(policy.name)),
  ];
  if (policy.name === "round-robin-subset") return calls;
  const [first, second] = policyNumbers(policy, () => undefined);
  if (first !== 0) calls.push(unitSet(handle, abi.UNIT_SET_POLICY_PARAMETER, first));
  if (second !== 0) calls.push(unitSet(handle, abi.UNIT_SET_POLICY_PARAMETER_2, second));
  return calls;
}

/** The part that does: weights, and the subset, which the core wants as slots. */
export function pathPolicyCalls(unit: Unit, handle: number, effective: Effective, snapshot: Snapshot): CoreCall[] {
  const policy = effective.policy(unit);
  const present = [...unit.paths.values()].filter((path) => path.handle !== null);
  // Without weights all paths weigh the same. They must be reset: the core keeps those of the previous policy, and other policies
  // use them too.
  const { weights = {} } = policy.parameters;
  const calls = present.flatMap((path) => {
    const weight = weights[path.number] ?? 1;
    if (path.handle === null || snapshot.path(path.handle)?.weight === weight) return [];
    return [pathSet(path.handle, abi.PATH_SET_WEIGHT, weight)];
  });
  if (policy.name !== "round-robin-subset") return calls;
  const slots = new Map(present.map((path) => [path.number, snapshot.path(path.handle ?? 0)?.slot]));
  const [mask, ios] = policyNumbers(policy, (number) => slots.get(number));
  calls.push(unitSet(handle, abi.UNIT_SET_POLICY_PARAMETER, mask));
  if (ios !== 0) calls.push(unitSet(handle, abi.UNIT_SET_POLICY_PARAMETER_2, ios));
  return calls;
}

/** What the path runs over, so that the core knows which paths share components, and its target port group. */
export function pathFactCalls(path: Path, handle: number, found: FoundPath, names: Interned): CoreCall[] {
  const { probe } = found;
  const initiator = found.initiatorPort ?? `host${path.number.split(":")[0]}`;
  const target = probe.targetPort ?? path.number.split(":").slice(0, 3).join(":");
  const calls = [
    pathSet(handle, abi.PATH_SET_INITIATOR_PORT, names.number(`initiator ${initiator}`)),
    pathSet(handle, abi.PATH_SET_TARGET_PORT, names.number(`target ${target}`)),
  ];
  const { alua } = probe;
  if (alua === null) return calls;
  // A state that was never reported is unknown, not 0: 0 means active/optimized.
  const state = probe.details?.groups.find((group) => group.group === alua.group)?.state ?? abi.ALUA_UNKNOWN;
  if (alua.group === null) return [...calls, pathSet(handle, abi.PATH_SET_ALUA, state)];
  const groupAndPort = alua.group + (probe.relativeTargetPort ?? 0) * 65536;
  calls.push(
    pathSet(handle, abi.PATH_SET_CONTROLLER, names.number(`controller ${probe.vendor}:${probe.product}:${alua.group}`)),
    pathSet(handle, abi.PATH_SET_TARGET_PORT_GROUP, groupAndPort),
    pathSet(handle, abi.PATH_SET_ALUA, state),
  );
  return calls;
}

/** Failback, cluster mode, patrol, intermittent-failure monitoring. */
export function modeCalls(effective: Effective): CoreCall[] {
  return MODES.map(({ key, core }) => modeSet(abi[core], effective.inCore(key)));
}

export function patrolCalls(effective: Effective): CoreCall[] {
  return PATROL.map(({ key, core }) => modeSet(abi[core], effective.inCore(key)));
}
