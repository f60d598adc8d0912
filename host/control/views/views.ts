// The API's view of units and paths: what is configured, and what the core's records say now.

import * as abi from "../../abi.ts";
import { reactorOf } from "../../reactor/handles.ts";
import type { PathRecord, UnitRecord } from "../../reactor/decode-records.ts";
import { isShown, pathsOf, type Path, type Unit } from "../inventory/inventory.ts";
import { outcomeText } from "./outcome-text.ts";
import { balancingOf } from "../settings/policies.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { AluaState, Latency, PathCondition, PathError, PathState, PathView } from "../schemas/path-schema.ts";
import type { Attachment, Policy, Timeouts, UnitState, UnitView } from "../schemas/unit-schema.ts";

/** What a view needs besides the inventory. */
export interface ViewSources {
  readonly snapshot: Snapshot;
  readonly policyOf: (unit: Unit) => Policy;
  readonly policySetAsideOf: (unit: Unit) => UnitView["policySetAside"];
  readonly timeoutsOf: (unit: Unit) => Timeouts;
  readonly hedgeBudgetPercentOf: (unit: Unit) => number;
  readonly attachmentsOf: (unit: Unit) => Attachment[];
  readonly nbdUnix: string | null;
  readonly nbdTcp: string | null;
  /** Latencies of a path or unit by its handle; null when they were not requested from the core. */
  readonly pathLatency: (handle: number) => Latency | null;
  readonly unitLatency: (handle: number) => Latency | null;
}

const ALUA: Readonly<Record<number, AluaState>> = {
  [abi.ALUA_OPTIMIZED]: "optimized",
  [abi.ALUA_NON_OPTIMIZED]: "non-optimized",
  [abi.ALUA_STANDBY]: "standby",
  [abi.ALUA_UNAVAILABLE]: "unavailable",
  [abi.ALUA_OFFLINE]: "offline",
  [abi.ALUA_TRANSITIONING]: "transitioning",
};

export function aluaName(state: number): AluaState {
  return ALUA[state] ?? "unknown";
}

export const SYMBOLS: Readonly<Record<PathState, PathView["symbol"]>> = {
  "in use": ">",
  active: " ",
  standby: "@",
  failed: "X",
};

const CONDITIONS: readonly (readonly [number, PathCondition])[] = [
  [abi.PATH_FLAG_SUSPECT, "suspect"],
  [abi.PATH_FLAG_MARGINAL, "marginal"],
  [abi.PATH_FLAG_STALLED, "stalled"],
  [abi.PATH_FLAG_WRONG_UNIT, "wrong unit"],
  [abi.PATH_FLAG_UNVERIFIED, "unverified"],
  [abi.PATH_FLAG_UNREGISTERED, "unregistered"],
  [abi.PATH_FLAG_REMOVING, "removing"],
];

/** The displayed state (reference section 2). A path that leads elsewhere is shown as failed. */
export function pathState(path: Path, record: Pick<PathRecord, "flags"> | null): PathState {
  if (record === null || path.foreignIdentity !== null) return "failed";
  const { flags } = record;
  if ((flags & (abi.PATH_FLAG_FAILED | abi.PATH_FLAG_WRONG_UNIT)) !== 0) return "failed";
  if ((flags & abi.PATH_FLAG_ENABLED) === 0) return "standby";
  return (flags & abi.PATH_FLAG_IN_USE) === 0 ? "active" : "in use";
}

export function conditionsOf(path: Path, record: Pick<PathRecord, "flags"> | null): PathCondition[] {
  if (record === null) return path.foreignIdentity === null ? ["gone"] : ["wrong unit"];
  const flags = record.flags | (path.foreignIdentity === null ? 0 : abi.PATH_FLAG_WRONG_UNIT);
  return CONDITIONS.filter(([flag]) => (flags & flag) !== 0).map(([, condition]) => condition);
}

function lastErrorOf(record: PathRecord | null): PathError | null {
  if (record === null) return null;
  const text = outcomeText(record.last);
  return text === "" ? null : { text, ...record.last };
}

const agoMs = (nowNs: number, thenNs: number): number | null =>
  thenNs === 0 ? null : Math.max(0, Math.round((nowNs - thenNs) / 1e6));

/** The statistics that every display of a path has. */
export function pathCounters(record: PathRecord | null) {
  return {
    ios: record?.ios ?? 0,
    bytesRead: record?.bytesRead ?? 0,
    bytesWritten: record?.bytesWritten ?? 0,
    errors: record?.errors ?? 0,
    retries: record?.retries ?? 0,
    inFlight: record?.inFlight ?? 0,
    serviceUs: (record?.serviceNs ?? 0) / 1000,
  };
}

/** The same for a unit. */
export function unitCounters(record: UnitRecord | null) {
  return {
    requests: record?.requests ?? 0,
    waiting: record?.waiting ?? 0,
    answered: record?.answered ?? 0,
    failed: record?.failed ?? 0,
    latencyMaxUs: (record?.latencyNsMax ?? 0) / 1000,
  };
}

/** Null when it lasts until an operator clears it. */
function marginalForS(record: PathRecord | null): number | null {
  if (record === null || (record.flags & abi.PATH_FLAG_MARGINAL) === 0) return 0;
  return record.marginalSeconds === 0 ? null : record.marginalSeconds;
}

export function pathView(path: Path, sources: ViewSources): PathView {
  const record = path.handle === null ? null : sources.snapshot.path(path.handle);
  const state = pathState(path, record);
  const probe = path.found?.probe;
  const alua = probe?.alua ?? null;
  const group = probe?.details?.groups.find((candidate) => candidate.group === alua?.group);
  return {
    number: path.number,
    unit: path.unit.number,
    device: path.found?.device ?? null,
    blockDevice: path.found?.blockDevice ?? null,
    deviceNumber: path.found?.deviceNumber ?? null,
    priority: path.priority,
    enabled: record === null ? path.enabled : (record.flags & abi.PATH_FLAG_ENABLED) !== 0,
    healthy: state !== "failed",
    state,
    symbol: SYMBOLS[state],
    conditions: conditionsOf(path, record),
    alua:
      alua === null
        ? null
        : {
            state: aluaName(record?.alua ?? group?.state ?? -1),
            group: alua.group,
            preferred: group?.preferred ?? false,
          },
    initiatorPort: path.found?.initiatorPort ?? `host${path.number.split(":")[0]}`,
    targetPort: probe?.targetPort ?? null,
    initiatorName: path.found?.ports.initiator ?? null,
    targetName: path.found?.ports.target ?? null,
    portal: path.found?.ports.via ?? null,
    adapter: path.found?.adapter ?? null,
    controller: typeof alua?.group === "number" ? `group ${alua.group}` : null,
    foreignIdentity: path.foreignIdentity,
    lastError: lastErrorOf(record),
    statistics: {
      ...pathCounters(record),
      checks: record?.checks ?? 0,
      depth: record?.depth ?? 0,
      weight: record?.weight ?? 0,
      orphans: record?.orphans ?? 0,
      lastAnswerMs: record === null ? null : agoMs(sources.snapshot.nowNs, record.lastAnswerNs),
      sinceMs: record === null ? null : agoMs(sources.snapshot.nowNs, record.sinceNs),
      marginalForS: marginalForS(record),
      latency: path.handle === null ? null : sources.pathLatency(path.handle),
    },
  };
}

/**
 * Whether a path is lost, or only a last resort. A path that an operator disabled is not faulty, nor one that the array keeps on
 * standby.
 */
export function isFaulty(path: Path, snapshot: Snapshot): boolean {
  return path.handle === null || path.foreignIdentity !== null || snapshot.isFaulty(path.handle);
}

function hasFaulty(unit: Unit, snapshot: Snapshot): boolean {
  for (const path of unit.paths.values()) if (isFaulty(path, snapshot)) return true;
  return false;
}

/** Paths of a unit that can carry I/O, now or as an alternative. */
export function serviceablePaths(unit: Unit, snapshot: Snapshot): number {
  let count = 0;
  for (const { handle, foreignIdentity } of unit.paths.values()) {
    if (handle !== null && foreignIdentity === null && snapshot.isServiceable(handle)) count++;
  }
  return count;
}

function hasPaths(unit: Unit): boolean {
  for (const path of unit.paths.values()) if (path.handle !== null) return true;
  return false;
}

/** @param serviceable its `serviceablePaths`, if the caller has them */
export function unitState(unit: Unit, snapshot: Snapshot, serviceable = serviceablePaths(unit, snapshot)): UnitState {
  const { handle } = unit;
  if (unit.inUse !== null) return "in use elsewhere";
  if (handle === null || !hasPaths(unit)) return "gone";
  if (snapshot.isPreempted(handle)) return "preempted";
  if (serviceable === 0) return snapshot.isReleased(handle) ? "released" : "no path";
  if (serviceable > 1) return hasFaulty(unit, snapshot) ? "degraded" : "ok";
  return unit.paths.size > 1 ? "not redundant" : "single path";
}

export function unitView(unit: Unit, sources: ViewSources): UnitView {
  const record = unit.handle === null ? null : sources.snapshot.unit(unit.handle);
  const paths = pathsOf(unit).filter(isShown);
  const policy = sources.policyOf(unit);
  const { facts } = unit;
  return {
    number: unit.number,
    name: unit.name,
    identity: unit.identity,
    vendor: facts.vendor,
    product: facts.product,
    revision: facts.revision,
    serial: facts.serial,
    bytes: facts.bytes,
    blockBytes: facts.blockBytes,
    readOnly: (unit.capabilities & abi.UNIT_CAN_NOT_WRITE) !== 0,
    policy,
    policySetAside: sources.policySetAsideOf(unit),
    balancing: balancingOf(policy.name),
    hedgeBudgetPercent: sources.hedgeBudgetPercentOf(unit),
    state: unitState(unit, sources.snapshot),
    reactor: unit.handle === null ? null : reactorOf(unit.handle),
    paths: paths.map((path) => pathView(path, sources)),
    remembered: pathsOf(unit)
      .filter((path) => !isShown(path))
      .map(({ number, priority, enabled }) => ({ number, priority, enabled })),
    export: unit.handle === null ? null : { name: unit.name, unixSocket: sources.nbdUnix, tcp: sources.nbdTcp },
    attachments: sources.attachmentsOf(unit),
    timeouts: sources.timeoutsOf(unit),
    statistics: {
      ...unitCounters(record),
      orphans: record?.orphans ?? 0,
      connections: record?.connections ?? 0,
      stallThresholdUs: (record?.stallNs ?? 0) / 1000,
      latency: unit.handle === null ? null : sources.unitLatency(unit.handle),
    },
  };
}
