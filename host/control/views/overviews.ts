// Views of all units and paths: the arrays they belong to, counters, what needs attention.

import { sinceStartMs } from "../ground/uptime.ts";
import { lazily, sliced, type Lazy } from "../ground/answer-pieces.ts";
import type { PortStates } from "../../discovery/port-states.ts";
import type { Latencies } from "./latencies.ts";
import { isShown, pathsOf, type Inventory, type Path, type Unit } from "../inventory/inventory.ts";
import type { PathView } from "../schemas/path-schema.ts";
import type { ArrayView, StatisticsView } from "../schemas/status-schema.ts";
import type { UnitView } from "../schemas/unit-schema.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { pathCounters, pathState, serviceablePaths, SYMBOLS, unitCounters, unitState } from "./views.ts";
import { counted } from "../../wording.ts";

interface PortCount {
  paths: number;
  pathsFailed: number;
}

function count<T extends PortCount>(ports: Map<string, T>, name: string, make: () => T, path: PathView): T {
  const port = ports.get(name) ?? make();
  ports.set(name, port);
  port.paths++;
  if (path.state === "failed") port.pathsFailed++;
  return port;
}

interface Collected {
  readonly vendor: string;
  readonly product: string;
  readonly units: number[];
  readonly targets: Map<string, ArrayView["targetPorts"][number]>;
  readonly initiators: Map<string, ArrayView["initiatorPorts"][number]>;
}

/** The words of all places that know a port: `Online`, or `Online, Blocked` if only one initiator has lost it. */
function join(known: string | null, other: string | null): string | null {
  if (known === null || other === null) return known ?? other;
  return known.split(", ").includes(other) ? known : `${known}, ${other}`;
}

function collectPath({ targets, initiators }: Collected, path: PathView, ports: PortStates): void {
  const [host = "", channel, id] = path.number.split(":");
  const unknown = { state: null, speed: null };
  const name = path.targetPort ?? path.number.split(":").slice(0, 3).join(":");
  const seen = ports.targets.get(`${host}:${channel}:${id}`) ?? unknown;
  const make = (): ArrayView["targetPorts"][number] => ({
    name,
    portName: path.targetName,
    portal: path.portal,
    ...seen,
    group: path.alua?.group ?? null,
    alua: [],
    paths: 0,
    pathsFailed: 0,
  });
  // An iSCSI target port has several portals, and each may fail by itself.
  const target = count(targets, `${name}\0${path.portal ?? ""}`, make, path);
  target.state = join(target.state, seen.state);
  if (path.alua !== null && !target.alua.includes(path.alua.state)) target.alua.push(path.alua.state);
  const initiator = path.initiatorPort ?? "unknown";
  const makeInitiator = (): ArrayView["initiatorPorts"][number] => ({
    name: initiator,
    portName: path.initiatorName,
    ...(ports.initiators.get(host) ?? unknown),
    adapter: path.adapter,
    paths: 0,
    pathsFailed: 0,
  });
  count(initiators, initiator, makeInitiator, path);
}

/** Units of one vendor and product that share a target port count as one array. */
export async function arrayViews(units: Iterable<UnitView>, ports: PortStates): Promise<ArrayView[]> {
  const arrays = new Map<string, Collected>();
  for await (const { vendor, product, number, paths } of sliced(units)) {
    const key = `${vendor}\0${product}`;
    const array: Collected = arrays.get(key) ?? {
      vendor,
      product,
      units: [],
      targets: new Map(),
      initiators: new Map(),
    };
    arrays.set(key, array);
    array.units.push(number);
    for (const path of paths) collectPath(array, path, ports);
  }
  return [...arrays.values()].map(({ vendor, product, units: members, targets, initiators }) => ({
    vendor,
    product,
    units: members,
    targetPorts: [...targets.values()],
    initiatorPorts: [...initiators.values()],
  }));
}

const TOTALS = ["ios", "bytesRead", "bytesWritten", "errors", "retries", "inFlight"] as const;

/** The totals come last, as they are summed while the paths before them are sent. */
export function statisticsView(inventory: Inventory, snapshot: Snapshot, latencies: Latencies): Lazy<StatisticsView> {
  const totals = { ios: 0, bytesRead: 0, bytesWritten: 0, errors: 0, retries: 0, inFlight: 0 };
  const shown = inventory.paths().filter(isShown);
  const paths = lazily(shown, (path) => {
    const record = path.handle === null ? null : snapshot.path(path.handle);
    const latency = path.handle === null ? undefined : latencies.paths.get(path.handle);
    const counters = pathCounters(record);
    for (const key of TOTALS) totals[key] += counters[key];
    return Object.assign(counters, {
      number: path.number,
      unit: path.unit.number,
      symbol: SYMBOLS[pathState(path, record)],
      p50Us: latency?.p50Us ?? null,
      p99Us: latency?.p99Us ?? null,
    });
  });
  const units = lazily(inventory.units(), (unit) => {
    const record = unit.handle === null ? null : snapshot.unit(unit.handle);
    const latency = unit.handle === null ? undefined : latencies.units.get(unit.handle);
    return Object.assign(unitCounters(record), {
      number: unit.number,
      name: unit.name,
      p50Us: latency?.p50Us ?? null,
      p99Us: latency?.p99Us ?? null,
    });
  });
  return { time: Date.now(), runningMs: sinceStartMs(), units, paths, totals };
}

/** How redundant everything is. */
export interface Redundancy {
  readonly usable: number;
  readonly notRedundant: readonly Unit[];
  readonly withoutPath: readonly Unit[];
  /** Units that another host has taken. */
  readonly preempted: readonly Unit[];
  readonly wrong: readonly Path[];
  /** Units of which paths are gone. */
  readonly incomplete: readonly Unit[];
  /** Units whose paths disagree on their size. */
  readonly disputed: readonly Unit[];
  /** Units that others use. */
  readonly inUse: readonly Unit[];
}

function isIncomplete(unit: Unit): boolean {
  for (const path of unit.paths.values()) if (!isShown(path)) return true;
  return false;
}

export function redundancyOf(inventory: Inventory, snapshot: Snapshot): Redundancy {
  const notRedundant: Unit[] = [];
  const withoutPath: Unit[] = [];
  const preempted: Unit[] = [];
  let usable = 0;
  for (const unit of inventory.units()) {
    const serviceable = serviceablePaths(unit, snapshot);
    usable += serviceable;
    const state = unitState(unit, snapshot, serviceable);
    if (state === "not redundant") notRedundant.push(unit);
    else if (state === "no path" || state === "released") withoutPath.push(unit);
    else if (state === "preempted") preempted.push(unit);
    // Clients may wait for a unit that was offered; for one that was gone when the daemon started only settings are kept.
    else if (state === "gone" && unit.handle !== null) withoutPath.push(unit);
  }
  const wrong = inventory.paths().filter((path) => path.foreignIdentity !== null);
  const inUse = inventory.units().filter((unit) => unit.inUse !== null);
  const disputed = inventory.units().filter((unit) => unit.dispute !== null);
  const incomplete = inventory.units().filter((unit) => unit.inUse === null && isIncomplete(unit));
  return { usable, notRedundant, withoutPath, preempted, wrong, incomplete, inUse, disputed };
}

/** `#0, #1 and 18 more`. */
export const numbers = (units: readonly Unit[]): string => {
  const shown = units.slice(0, 8).map((unit) => `#${unit.number}`);
  return units.length > shown.length ? `${shown.join(", ")} and ${units.length - shown.length} more` : shown.join(", ");
};

/** Most units whose gone paths are named. */
const GONE_TOLD_MAX = 8;

function goneSentence(unit: Unit): string {
  const gone = pathsOf(unit).filter((path) => !isShown(path));
  const names = gone
    .map(({ number, isNumberTaken }) => (isNumberTaken ? `${number} (now another path)` : number))
    .join(", ");
  const what =
    gone.length === unit.paths.size ? "is gone with its paths" : `has lost ${gone.length === 1 ? "a path" : "paths"}`;
  return `LogicalUnit #${unit.number} ${what}: ${names}; settings are kept until \`pathctl path forget\``;
}

/** What an operator should look into, one sentence each. */
export function attentionOf({ notRedundant, withoutPath, wrong, incomplete, inUse, disputed }: Redundancy): string[] {
  const sentences = inUse.map(
    (unit) => `LogicalUnit #${unit.number} is not offered, it is in use elsewhere: ${unit.inUse}`,
  );
  if (withoutPath.length > 0) sentences.push(`no path is usable: LogicalUnit ${numbers(withoutPath)}`);
  if (notRedundant.length > 0) sentences.push(`not redundant: LogicalUnit ${numbers(notRedundant)}`);
  for (const { number, dispute } of disputed)
    sentences.push(`paths of LogicalUnit #${number} differ in size: ${dispute}`);
  for (const path of wrong) {
    sentences.push(`path ${path.number} of LogicalUnit #${path.unit.number} leads to ${path.foreignIdentity}`);
  }
  sentences.push(...incomplete.slice(0, GONE_TOLD_MAX).map(goneSentence));
  const more = incomplete.length - GONE_TOLD_MAX;
  if (more > 0) sentences.push(`paths of ${counted(more, "more logical unit")} are gone`);
  return sentences;
}
