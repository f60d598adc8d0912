// The metrics of paths and units. Each series is named by a path's number and its unit's; what else is known of them is in
// `pathmanager_path_info` and `pathmanager_unit_info`, so that a rename begins no new series.

import * as abi from "../../abi.ts";
import { bytesOf, labels, type Family } from "../../liaison/exposition.ts";
import type { PathRecord, UnitRecord } from "../../reactor/decode-records.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { inSlices } from "../ground/answer-pieces.ts";
import { isShown, type Inventory, type Path, type Unit } from "../inventory/inventory.ts";
import type { PathState } from "../schemas/path-schema.ts";
import type { UnitState } from "../schemas/unit-schema.ts";
import { aluaName, conditionsOf, pathState, serviceablePaths, unitState } from "../views/views.ts";

/** A path or unit with its record and its labels, which every metric of it needs. */
interface Row<Thing, Record> {
  readonly thing: Thing;
  readonly record: Record;
  readonly labels: Uint8Array;
  /** Of its `_info`. */
  readonly info: Uint8Array;
}

interface PathRow extends Row<Path, PathRecord | null> {
  /** What its labels were made of. */
  readonly number: string;
  readonly found: Path["found"];
  readonly state: PathState;
}

interface UnitRow extends Row<Unit, UnitRecord | null>, Pick<Unit, "name" | "identity" | "facts"> {
  readonly state: UnitState;
  readonly usable: number;
}

export interface Tables {
  readonly paths: readonly PathRow[];
  readonly units: readonly UnitRow[];
  readonly snapshot: Snapshot;
}

/** Values of a label that are taken from a short list. */
class Words {
  readonly #made = new Map<string, Uint8Array>();
  readonly #label: string;

  constructor(label: string) {
    this.#label = label;
  }

  of(value: string): Uint8Array {
    const made = this.#made.get(value) ?? bytesOf(labels({ [this.#label]: value }));
    this.#made.set(value, made);
    return made;
  }
}

const STATES = new Words("state");
const CONDITIONS = new Words("condition");

/** Makes the rows. What is written of a thing stays with its row until it changes, and so do the rows until there are others. */
export class Tabulator {
  #paths: readonly PathRow[] = [];
  #units: readonly UnitRow[] = [];

  /** Made in slices: there may be thousands. */
  async tables(inventory: Inventory, snapshot: Snapshot): Promise<Tables> {
    const paths: PathRow[] = [];
    const before = this.#paths;
    await inSlices(inventory.paths(), (path) => {
      if (isShown(path)) paths.push(pathRow(path, snapshot, before[paths.length]));
    });
    const units: UnitRow[] = [];
    const unitsBefore = this.#units;
    await inSlices(inventory.units(), (unit) => units.push(unitRow(unit, snapshot, unitsBefore[units.length])));
    this.#paths = paths;
    this.#units = units;
    return { paths, units, snapshot };
  }
}

function pathRow(thing: Path, snapshot: Snapshot, before: PathRow | undefined): PathRow {
  const { number, unit, found } = thing;
  const record = thing.handle === null ? null : snapshot.path(thing.handle);
  const state = pathState(thing, record);
  // What discovery found is never changed, but replaced.
  if (before?.thing === thing && before.number === number && before.found === found) {
    return { thing, number, found, record, labels: before.labels, info: before.info, state };
  }
  const info = labels({
    device: found?.device ?? "",
    initiator_port: found?.initiatorPort ?? "",
    target_port: found?.probe?.targetPort ?? "",
    initiator_name: found?.ports.initiator ?? null,
    target_name: found?.ports.target ?? null,
    portal: found?.ports.via ?? null,
    adapter: found?.adapter ?? null,
    group: found?.probe?.alua?.group ?? "",
  });
  const own = bytesOf(labels({ path: number, unit: unit.number }));
  return { thing, number, found, record, labels: own, info: bytesOf(info), state };
}

function unitRow(thing: Unit, snapshot: Snapshot, before: UnitRow | undefined): UnitRow {
  const { number, name, identity, facts } = thing;
  const record = thing.handle === null ? null : snapshot.unit(thing.handle);
  const [state, usable] = [unitState(thing, snapshot), serviceablePaths(thing, snapshot)];
  if (before?.thing === thing && before.name === name && before.identity === identity && before.facts === facts) {
    return { thing, name, identity, facts, record, labels: before.labels, info: before.info, state, usable };
  }
  const info = bytesOf(labels({ name, identity: identity.text, vendor: facts.vendor, product: facts.product }));
  return { thing, name, identity, facts, record, labels: bytesOf(labels({ unit: number })), info, state, usable };
}

/** A family with a value for each row that has one. */
function each<R extends Row<object, unknown>>(
  rows: readonly R[],
  value: (row: R) => number | null,
): Pick<Family, "rows" | "write"> {
  return {
    rows: rows.length,
    write: (index, lines) => {
      // The index is below the length.
      const row = rows[index] as R;
      const found = value(row);
      if (found !== null) lines.sample(found, row.labels);
    },
  };
}

/** A family with the value 1 and more labels. */
function told<R extends Row<object, unknown>>(
  rows: readonly R[],
  more: (row: R) => readonly Uint8Array[],
): Pick<Family, "rows" | "write"> {
  return {
    rows: rows.length,
    write: (index, lines) => {
      const row = rows[index] as R;
      for (const label of more(row)) lines.sample(1, row.labels, label);
    },
  };
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
  ["healthy", "gauge", "Whether the path works; 0 while it is failed or gone.", ({ state }) => bit(state !== "failed")],
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

function* columns<R extends Row<object, unknown>>(
  prefix: string,
  table: readonly Column<R>[],
  rows: readonly R[],
): Generator<Family> {
  for (const [name, type, help, value, unit] of table) {
    yield { name: `${prefix}_${name}`, type, help, ...(unit === undefined ? {} : { unit }), ...each(rows, value) };
  }
}

export function* pathFamilies({ paths, snapshot }: Tables): Generator<Family> {
  const prefix = "pathmanager_path";
  yield {
    name: `${prefix}_info`,
    type: "gauge",
    help: "What is known of a path.",
    ...told(paths, ({ info }) => [info]),
  };
  yield {
    name: `${prefix}_state`,
    type: "gauge",
    help: "The path's state: in use, active, standby or failed.",
    ...told(paths, ({ state }) => [STATES.of(state)]),
  };
  yield {
    name: `${prefix}_alua_state`,
    type: "gauge",
    help: "The access state of the path's target port group.",
    ...told(paths, ({ record }) => (record === null ? [] : [STATES.of(aluaName(record.alua))])),
  };
  yield {
    name: `${prefix}_condition`,
    type: "gauge",
    help: "What else is the matter with a path: gone, suspect, marginal, stalled, wrong unit, unverified, unregistered, removing.",
    ...told(paths, ({ thing, record }) => conditionsOf(thing, record).map((condition) => CONDITIONS.of(condition))),
  };
  yield {
    name: `${prefix}_last_answer_age_seconds`,
    type: "gauge",
    help: "Time since the path last answered anything.",
    unit: "seconds",
    ...each(paths, ({ record }) =>
      record === null || record.lastAnswerNs === 0 ? null : Math.max(0, seconds(snapshot.nowNs - record.lastAnswerNs)),
    ),
  };
  yield* columns(prefix, PATH_COLUMNS, paths);
}

export function* unitFamilies({ units }: Tables): Generator<Family> {
  const prefix = "pathmanager_unit";
  yield {
    name: `${prefix}_info`,
    type: "gauge",
    help: "What is known of a unit.",
    ...told(units, ({ info }) => [info]),
  };
  yield {
    name: `${prefix}_state`,
    type: "gauge",
    help: "The unit's state: ok, degraded, not redundant, single path, no path, released, gone or in use elsewhere.",
    ...told(units, ({ state }) => [STATES.of(state)]),
  };
  yield {
    name: `${prefix}_usable_paths`,
    type: "gauge",
    help: "Paths that can carry the unit's I/O, now or as an alternative.",
    ...each(units, ({ usable }) => usable),
  };
  yield* columns(prefix, UNIT_COLUMNS, units);
}
