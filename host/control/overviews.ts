// Views over all units and paths: the arrays they belong to, the counters, what needs attention.

import type { Latencies } from "./latencies.ts";
import type { Inventory, Path, Unit } from "./inventory.ts";
import type { PathView } from "./schemas/path.ts";
import type { ArrayView, StatisticsView } from "./schemas/status.ts";
import type { UnitView } from "./schemas/unit.ts";
import type { Tables } from "./tables.ts";
import { pathState, serviceablePaths, SYMBOLS, unitState } from "./views.ts";

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

/** Units of one vendor and product that share a target port are taken for one array. */
export function arrayViews(units: readonly UnitView[]): ArrayView[] {
  const groups = Map.groupBy(units, (unit) => `${unit.vendor}\0${unit.product}`);
  return [...groups.values()].map((members): ArrayView => {
    const targets = new Map<string, ArrayView["targetPorts"][number]>();
    const initiators = new Map<string, ArrayView["initiatorPorts"][number]>();
    for (const path of members.flatMap((unit) => unit.paths)) {
      const name = path.targetPort ?? path.number.split(":").slice(0, 3).join(":");
      const make = () => ({ name, group: path.alua?.group ?? null, alua: [], paths: 0, pathsFailed: 0 });
      const target = count(targets, name, make, path);
      if (path.alua !== null && !target.alua.includes(path.alua.state)) target.alua.push(path.alua.state);
      const initiator = path.initiatorPort ?? "unknown";
      count(initiators, initiator, () => ({ name: initiator, paths: 0, pathsFailed: 0 }), path);
    }
    return {
      vendor: members[0]?.vendor ?? "",
      product: members[0]?.product ?? "",
      units: members.map((unit) => unit.number),
      targetPorts: [...targets.values()],
      initiatorPorts: [...initiators.values()],
    };
  });
}

export function statisticsView(inventory: Inventory, tables: Tables, latencies: Latencies): StatisticsView {
  const totals = { ios: 0, bytesRead: 0, bytesWritten: 0, errors: 0, retries: 0, inFlight: 0 };
  const paths = inventory.paths().map((path) => {
    const record = path.handle === null ? null : tables.path(path.handle);
    const latency = path.handle === null ? undefined : latencies.paths.get(path.handle);
    const { ios = 0, bytesRead = 0, bytesWritten = 0, errors = 0, retries = 0, inFlight = 0 } = record ?? {};
    totals.ios += ios;
    totals.bytesRead += bytesRead;
    totals.bytesWritten += bytesWritten;
    totals.errors += errors;
    totals.retries += retries;
    totals.inFlight += inFlight;
    return {
      number: path.number,
      unit: path.unit.number,
      symbol: SYMBOLS[pathState(path, record)],
      ios,
      bytesRead,
      bytesWritten,
      errors,
      retries,
      inFlight,
      serviceUs: (record?.serviceNs ?? 0) / 1000,
      p50Us: latency?.p50Us ?? null,
      p99Us: latency?.p99Us ?? null,
    };
  });
  const units = inventory.units().map((unit) => {
    const record = unit.handle === null ? null : tables.unit(unit.handle);
    const latency = unit.handle === null ? undefined : latencies.units.get(unit.handle);
    const { requests = 0, waiting = 0, answered = 0, failed = 0, latencyNsMax = 0 } = record ?? {};
    return {
      number: unit.number,
      name: unit.name,
      requests,
      waiting,
      answered,
      failed,
      latencyMaxUs: latencyNsMax / 1000,
      p50Us: latency?.p50Us ?? null,
      p99Us: latency?.p99Us ?? null,
    };
  });
  return { time: Date.now(), totals, units, paths };
}

/** How redundant everything is. */
export interface Redundancy {
  readonly usable: number;
  readonly notRedundant: readonly Unit[];
  readonly withoutPath: readonly Unit[];
  readonly wrong: readonly Path[];
}

export function redundancyOf(inventory: Inventory, tables: Tables): Redundancy {
  const notRedundant: Unit[] = [];
  const withoutPath: Unit[] = [];
  let usable = 0;
  for (const unit of inventory.units()) {
    usable += serviceablePaths(unit, tables);
    const state = unitState(unit, tables);
    if (state === "not redundant") notRedundant.push(unit);
    else if (state === "no path" || state === "released" || state === "gone") withoutPath.push(unit);
  }
  const wrong = inventory.paths().filter((path) => path.foreignIdentity !== null);
  return { usable, notRedundant, withoutPath, wrong };
}

const numbers = (units: readonly Unit[]): string => {
  const shown = units.slice(0, 8).map((unit) => `#${unit.number}`);
  return units.length > shown.length ? `${shown.join(", ")} and ${units.length - shown.length} more` : shown.join(", ");
};

/** What an operator should look at, one sentence each. */
export function attentionOf({ notRedundant, withoutPath, wrong }: Redundancy): string[] {
  const sentences: string[] = [];
  if (withoutPath.length > 0) sentences.push(`no path is usable: LogicalUnit ${numbers(withoutPath)}`);
  if (notRedundant.length > 0) sentences.push(`not redundant: LogicalUnit ${numbers(notRedundant)}`);
  for (const path of wrong) {
    sentences.push(`path ${path.number} of LogicalUnit #${path.unit.number} leads to ${path.foreignIdentity}`);
  }
  return sentences;
}
