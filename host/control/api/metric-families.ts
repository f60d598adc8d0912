// The metrics of paths and units. Each series is named by a path's number and its unit's; what else is known of them is in
// `pathmanager_path_info` and `pathmanager_unit_info`, so that a rename begins no new series.

import * as abi from "../../abi.ts";
import { labels, sample, type Family } from "../../liaison/exposition.ts";
import type { PathRecord, UnitRecord } from "../../reactor/decode-records.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { sliced } from "../ground/answer-pieces.ts";
import { isShown, type Inventory, type Path, type Unit } from "../inventory/inventory.ts";
import { aluaName, conditionsOf, pathState, serviceablePaths, unitState } from "../views/views.ts";

/** A path or unit with its record and its labels, which every metric of it needs. */
interface Row<Thing, Record> {
  readonly thing: Thing;
  readonly record: Record;
  readonly labels: string;
}

type PathRow = Row<Path, PathRecord | null>;
type UnitRow = Row<Unit, UnitRecord | null>;

export interface Tables {
  readonly paths: readonly PathRow[];
  readonly units: readonly UnitRow[];
  readonly snapshot: Snapshot;
}

/** Made in slices: there may be thousands. */
export async function tablesOf(inventory: Inventory, snapshot: Snapshot): Promise<Tables> {
  const paths: PathRow[] = [];
  for await (const thing of sliced(inventory.paths().filter(isShown))) {
    const record = thing.handle === null ? null : snapshot.path(thing.handle);
    paths.push({ thing, record, labels: labels({ path: thing.number, unit: thing.unit.number }) });
  }
  const units: UnitRow[] = [];
  for await (const thing of sliced(inventory.units())) {
    const record = thing.handle === null ? null : snapshot.unit(thing.handle);
    units.push({ thing, record, labels: labels({ unit: thing.number }) });
  }
  return { paths, units, snapshot };
}

function* each<R extends { readonly labels: string }>(
  rows: readonly R[],
  value: (row: R) => number | null,
): Generator<string> {
  for (const row of rows) {
    const found = value(row);
    if (found !== null) yield sample(found, row.labels);
  }
}

/** A family with the value 1 and more labels. */
function* told<R extends { readonly labels: string }>(rows: readonly R[], more: (row: R) => string): Generator<string> {
  for (const row of rows) yield sample(1, `${row.labels},${more(row)}`);
}

type Kind = "counter" | "gauge";
type Column<R> = readonly [
  name: string,
  type: Kind,
  help: string,
  value: (row: R) => number | null,
  unit?: "seconds" | "bytes",
];

const bit = (is: boolean): number => (is ? 1 : 0);
const seconds = (ns: number): number => ns / 1e9;

const ofPath =
  (value: (record: PathRecord) => number) =>
  ({ record }: PathRow): number | null =>
    record === null ? null : value(record);

const ofUnit =
  (value: (record: UnitRecord) => number) =>
  ({ record }: UnitRow): number | null =>
    record === null ? null : value(record);

const hasFlag = (flag: number) => ofPath(({ flags }) => bit((flags & flag) !== 0));

/** Columns of the table of paths. */
const PATH_COLUMNS: readonly Column<PathRow>[] = [
  ["ios", "counter", "Commands that the path has answered.", ofPath(({ ios }) => ios)],
  ["read_bytes", "counter", "Bytes read over the path.", ofPath(({ bytesRead }) => bytesRead), "bytes"],
  ["written_bytes", "counter", "Bytes written over the path.", ofPath(({ bytesWritten }) => bytesWritten), "bytes"],
  ["errors", "counter", "Commands that failed on the path.", ofPath(({ errors }) => errors)],
  ["retries", "counter", "Commands that were sent again on the path.", ofPath(({ retries }) => retries)],
  ["checks", "counter", "Checks by path patrol.", ofPath(({ checks }) => checks)],
  ["in_flight", "gauge", "Commands in flight on the path.", ofPath(({ inFlight }) => inFlight)],
  ["depth", "gauge", "How many commands the path may have in flight.", ofPath(({ depth }) => depth)],
  [
    "orphans",
    "gauge",
    "Commands that were retried elsewhere and are still in flight here.",
    ofPath(({ orphans }) => orphans),
  ],
  ["priority", "gauge", "Priority of the path within its unit; the larger wins.", ({ thing }) => thing.priority],
  ["enabled", "gauge", "Whether the path's priority is enabled.", hasFlag(abi.PATH_FLAG_ENABLED)],
  ["in_use", "gauge", "Whether the path carries I/O.", hasFlag(abi.PATH_FLAG_IN_USE)],
  [
    "healthy",
    "gauge",
    "Whether the path works; 0 while it is failed or gone.",
    ({ thing, record }) => bit(pathState(thing, record) !== "failed"),
  ],
  ["marginal", "gauge", "Whether the path fails intermittently and is a last resort.", hasFlag(abi.PATH_FLAG_MARGINAL)],
  [
    "service_seconds",
    "gauge",
    "Learned time that the path takes for a command.",
    ofPath(({ serviceNs }) => seconds(serviceNs)),
    "seconds",
  ],
];

/** Columns of the table of units. */
const UNIT_COLUMNS: readonly Column<UnitRow>[] = [
  ["requests_answered", "counter", "Requests that were answered.", ofUnit(({ answered }) => answered)],
  ["requests_failed", "counter", "Requests that were answered with an error.", ofUnit(({ failed }) => failed)],
  ["requests_in_progress", "gauge", "Requests that are not answered yet.", ofUnit(({ requests }) => requests)],
  [
    "requests_waiting",
    "gauge",
    "Requests that wait for a path, room, or another command.",
    ofUnit(({ waiting }) => waiting),
  ],
  [
    "orphans",
    "gauge",
    "Commands that were retried elsewhere and are still in flight.",
    ofUnit(({ orphans }) => orphans),
  ],
  ["connections", "gauge", "Clients that have the unit open.", ofUnit(({ connections }) => connections)],
  [
    "stall_threshold_seconds",
    "gauge",
    "Learned time after which an unanswered command is retried on another path.",
    ofUnit(({ stallNs }) => seconds(stallNs)),
    "seconds",
  ],
  ["size_bytes", "gauge", "Capacity of the unit.", ({ thing }) => thing.facts.bytes, "bytes"],
];

function* columns<R extends { readonly labels: string }>(
  prefix: string,
  table: readonly Column<R>[],
  rows: readonly R[],
): Generator<Family> {
  for (const [name, type, help, value, unit] of table) {
    yield {
      name: `${prefix}_${name}`,
      type,
      help,
      ...(unit === undefined ? {} : { unit }),
      samples: each(rows, value),
    };
  }
}

export function* pathFamilies({ paths, snapshot }: Tables): Generator<Family> {
  const prefix = "pathmanager_path";
  yield {
    name: `${prefix}_info`,
    type: "gauge",
    help: "What is known of a path.",
    samples: told(paths, ({ thing }) =>
      labels({
        device: thing.found?.device ?? "",
        initiator_port: thing.found?.initiatorPort ?? "",
        target_port: thing.found?.probe?.targetPort ?? "",
        initiator_name: thing.found?.ports.initiator ?? null,
        target_name: thing.found?.ports.target ?? null,
        portal: thing.found?.ports.via ?? null,
        adapter: thing.found?.adapter ?? null,
        group: thing.found?.probe?.alua?.group ?? "",
      }),
    ),
  };
  yield {
    name: `${prefix}_state`,
    type: "gauge",
    help: "The path's state: in use, active, standby or failed.",
    samples: told(paths, ({ thing, record }) => labels({ state: pathState(thing, record) })),
  };
  yield {
    name: `${prefix}_alua_state`,
    type: "gauge",
    help: "The access state of the path's target port group.",
    samples: told(
      paths.filter(({ record }) => record !== null),
      ({ record }) => labels({ state: aluaName(record?.alua ?? -1) }),
    ),
  };
  yield {
    name: `${prefix}_condition`,
    type: "gauge",
    help: "What else is the matter with a path: gone, suspect, marginal, stalled, wrong unit, unverified, unregistered, removing.",
    samples: conditionSamples(paths),
  };
  yield {
    name: `${prefix}_last_answer_age_seconds`,
    type: "gauge",
    help: "Time since the path last answered anything.",
    unit: "seconds",
    samples: each(paths, ({ record }) =>
      record === null || record.lastAnswerNs === 0 ? null : Math.max(0, seconds(snapshot.nowNs - record.lastAnswerNs)),
    ),
  };
  yield* columns(prefix, PATH_COLUMNS, paths);
}

function* conditionSamples(paths: readonly PathRow[]): Generator<string> {
  for (const { thing, record, labels: own } of paths) {
    for (const condition of conditionsOf(thing, record)) yield sample(1, `${own},${labels({ condition })}`);
  }
}

export function* unitFamilies({ units, snapshot }: Tables): Generator<Family> {
  const prefix = "pathmanager_unit";
  yield {
    name: `${prefix}_info`,
    type: "gauge",
    help: "What is known of a unit.",
    samples: told(units, ({ thing: { name, identity, facts } }) =>
      labels({ name, identity: identity.text, vendor: facts.vendor, product: facts.product }),
    ),
  };
  yield {
    name: `${prefix}_state`,
    type: "gauge",
    help: "The unit's state: ok, degraded, not redundant, single path, no path, released, gone or in use elsewhere.",
    samples: told(units, ({ thing }) => labels({ state: unitState(thing, snapshot) })),
  };
  yield {
    name: `${prefix}_usable_paths`,
    type: "gauge",
    help: "Paths that can carry the unit's I/O, now or as an alternative.",
    samples: each(units, ({ thing }) => serviceablePaths(thing, snapshot)),
  };
  yield* columns(prefix, UNIT_COLUMNS, units);
}
