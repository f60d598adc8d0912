// Metrics of the reactor: how long its turns take, and how much of what every unit shares is in use.

import type { Context } from "../devices/operation-context.ts";
import type { ReactorLoad } from "../../reactor/reactor-messages.ts";
import { bytesOf, labels, number, type Family } from "../../liaison/exposition.ts";
import type { Tables } from "./metric-families.ts";

/** A reactor that is silent for so long does not answer. */
const WAIT_MS = 1000;

const BUCKET = bytesOf("_bucket");
const SUM = bytesOf("_sum");
const COUNT = bytesOf("_count");

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
    rows: load === null ? 0 : 1,
    write: (_, lines) => {
      if (load === null) return;
      let seen = 0;
      for (const [index, count] of load.counts.entries()) {
        seen += count;
        const isLast = index === load.counts.length - 1;
        const le = isLast ? Infinity : (load.firstClassNs * 2 ** index) / 1e9;
        lines.sample(seen, bytesOf(labels({ le: number(le) })), undefined, BUCKET);
      }
      lines.sample(load.busyNs / 1e9, undefined, undefined, SUM);
      lines.sample(seen, undefined, undefined, COUNT);
    },
  };
}

/** Slots: records of the core of which all units together have a fixed number. */
type Slot = "requests" | "commands" | "connections" | "units" | "paths";

function slotsInUse({ paths, units }: Tables): (readonly [of: Slot, value: number])[] {
  let [requests, commands, connections] = [0, 0, 0];
  for (const { record } of units) {
    requests += record?.requests ?? 0;
    connections += record?.connections ?? 0;
  }
  for (const { record } of paths) commands += (record?.inFlight ?? 0) + (record?.orphans ?? 0);
  return [
    ["requests", requests],
    ["commands", commands],
    ["connections", connections],
    ["units", units.length],
    ["paths", paths.length],
  ];
}

export function* reactorFamilies(load: ReactorLoad | null, tables: Tables): Generator<Family> {
  yield turnFamily(load);
  const used = slotsInUse(tables);
  yield {
    name: "pathmanager_slots_in_use",
    type: "gauge",
    help: "Requests, commands, connections, units and paths that the core has records for.",
    rows: used.length,
    write: (row, lines) => {
      const [of, value] = used[row] ?? ["requests", 0];
      lines.sample(value, bytesOf(labels({ of })));
    },
  };
  yield {
    name: "pathmanager_slots",
    type: "gauge",
    help: "How many of each the core has room for.",
    rows: load === null ? 0 : used.length,
    write: (row, lines) => {
      const of = used[row]?.[0] ?? "requests";
      lines.sample(load?.limits[of] ?? 0, bytesOf(labels({ of })));
    },
  };
}
