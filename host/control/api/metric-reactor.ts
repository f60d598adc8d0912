// Metrics of the reactor: how long its turns take, and how much of what every unit shares is in use.

import * as abi from "../../abi.ts";
import type { Context } from "../devices/operation-context.ts";
import type { ReactorLoad } from "../../reactor/reactor-messages.ts";
import type { ReactorStatus } from "../schemas/status-schema.ts";
import { boundText, few, labels, NO_LABELS, type Family, type Samples } from "./exposition.ts";
import type { Tables } from "./metric-tables.ts";

/** A reactor that is silent for so long does not answer. */
const WAIT_MS = 1000;

/** Null when the reactor does not answer in time. */
export async function askLoad({ reactor, snapshots }: Context): Promise<ReactorLoad | null> {
  if (!snapshots.isAnswering) return null;
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), WAIT_MS);
  });
  const load = await Promise.race([reactor.load().catch(() => null), limit]);
  clearTimeout(timer);
  return load;
}

function turnFamily(load: ReactorLoad | null): Family {
  return {
    name: "pathmanager_reactor_turn_duration_seconds",
    type: "histogram",
    help: "Time for which the reactor works until it waits, or looks for the next work; the sum over time is its busy share.",
    unit: "seconds",
    samples: load === null ? few([]) : turnSamples(load),
  };
}

function turnSamples({ counts, busyNs, firstClassNs }: ReactorLoad): Samples {
  const bounds = counts.map((_, index) => (index === counts.length - 1 ? Infinity : (firstClassNs * 2 ** index) / 1e9));
  const lines = bounds.map((le) => ({ end: "_bucket", more: labels({ le: boundText(le) }) }));
  const fill = (values: Float64Array): void => {
    let seen = 0;
    for (const [index, count] of counts.entries()) values[index] = seen += count;
    values[counts.length] = busyNs / 1e9;
    values[counts.length + 1] = seen;
  };
  return { rows: NO_LABELS, lines: [...lines, { end: "_sum" }, { end: "_count" }], fill };
}

/** Slots: records of the core of which all units together have a fixed number. */
type Slot = "requests" | "commands" | "connections" | "units" | "paths";

function slotsInUse({ paths, units }: Tables): (readonly [of: Slot, value: number])[] {
  let [requests, commands, connections] = [0, 0, 0];
  for (const at of units.places) {
    if (at < 0) continue;
    requests += units.records.getUint32(at + abi.UNIT_REQUESTS, true);
    connections += units.records.getUint32(at + abi.UNIT_CONNECTIONS, true);
  }
  for (const at of paths.places) {
    if (at < 0) continue;
    commands += paths.records.getUint32(at + abi.PATH_IN_FLIGHT, true);
    commands += paths.records.getUint32(at + abi.PATH_ORPHANS, true);
  }
  return [
    ["requests", requests],
    ["commands", commands],
    ["connections", connections],
    ["units", units.things.length],
    ["paths", paths.things.length],
  ];
}

export function* reactorFamilies(load: ReactorLoad | null, tables: Tables): Generator<Family> {
  yield turnFamily(load);
  yield {
    name: "pathmanager_pool_bytes",
    type: "gauge",
    help: "Size of the pool of data buffers.",
    unit: "bytes",
    samples: few(load === null ? [] : [[load.limits.poolBytes, {}]]),
  };
  yield {
    name: "pathmanager_pool_free_bytes",
    type: "gauge",
    help: "Bytes of the pool that belong to no request.",
    unit: "bytes",
    samples: few(load === null ? [] : [[load.poolFreeBytes, {}]]),
  };
  const used = slotsInUse(tables);
  yield {
    name: "pathmanager_slots_in_use",
    type: "gauge",
    help: "Requests, commands, connections, units and paths that the core has records for.",
    samples: few(used.map(([of, value]) => [value, { of }])),
  };
  yield {
    name: "pathmanager_slots",
    type: "gauge",
    help: "How many of each the core has room for.",
    samples: few(load === null ? [] : used.map(([of]) => [load.limits[of], { of }])),
  };
}

type Figure = readonly [
  name: string,
  type: Family["type"],
  help: string,
  value: (one: ReactorStatus) => number | null,
  unit?: "seconds" | "bytes",
];

const seconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);

const FIGURES: readonly Figure[] = [
  ["up", "gauge", "Whether this reactor turns.", ({ answering }) => (answering ? 1 : 0)],
  ["turns", "counter", "How often this reactor has worked.", ({ turns }) => turns],
  ["busy_seconds", "counter", "Time for which this reactor has worked.", ({ busyMs }) => seconds(busyMs), "seconds"],
  ["units", "gauge", "Units that this reactor serves.", ({ units }) => units],
  ["requests_in_progress", "gauge", "Requests to this reactor that are not answered yet.", ({ requests }) => requests],
  ["commands_in_progress", "gauge", "Commands of this reactor that have not ended.", ({ commands }) => commands],
  [
    "pool_free_bytes",
    "gauge",
    "Bytes of this reactor's pool that belong to no request.",
    (one) => one.poolFreeBytes,
    "bytes",
  ],
];

/** Each of several reactors, and the only one. */
export function* eachReactor(reactors: readonly ReactorStatus[]): Generator<Family> {
  for (const [name, type, help, value, unit] of FIGURES) {
    const samples = reactors.map((one) => [value(one) ?? NaN, { reactor: one.reactor }] as const);
    yield {
      name: `pathmanager_reactor_${name}`,
      type,
      help,
      ...(unit === undefined ? {} : { unit }),
      samples: few(samples),
    };
  }
}
