// The metrics of paths and units. Each series is named by a path's number and its unit's; what else is known of them is in
// `pathmanager_path_info` and `pathmanager_unit_info`, so that a rename begins no new series.

import * as abi from "../../abi.ts";
import { u64 } from "../../reactor/decode-records.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { Path, Unit } from "../inventory/inventory.ts";
import { AluaState, PathCondition, PathState } from "../schemas/path-schema.ts";
import { UnitState } from "../schemas/unit-schema.ts";
import { aluaName, conditionsOf, pathState, serviceablePaths, unitState } from "../views/views.ts";
import { labels, type Family, type Samples, type Texts } from "./exposition.ts";
import type { Recorded, Tables } from "./metric-tables.ts";

type Kind = "counter" | "gauge";
/** The value of a thing whose record begins at `at`, or is not there (-1). NaN: it has none. */
type Value<Thing> = (records: DataView, at: number, thing: Thing) => number;
type Column<Thing> = readonly [name: string, type: Kind, help: string, value: Value<Thing>, unit?: "seconds" | "bytes"];

const bit = (is: boolean): number => (is ? 1 : 0);

/** A value of the record. */
const recordValue =
  (read: (records: DataView, at: number) => number): Value<unknown> =>
  (records, at) =>
    at < 0 ? NaN : read(records, at);

const word = (field: number): Value<unknown> => recordValue((records, at) => records.getUint32(at + field, true));
const counter = (field: number): Value<unknown> => recordValue((records, at) => u64(records, at + field));
const hasFlag = (flag: number): Value<unknown> =>
  recordValue((records, at) => bit((records.getUint32(at + abi.PATH_FLAGS, true) & flag) !== 0));

/** What states are made of, in one object for all paths: there are thousands. */
const seen = { flags: 0 };

function recordOf(records: DataView, at: number): typeof seen | null {
  if (at < 0) return null;
  seen.flags = records.getUint32(at + abi.PATH_FLAGS, true);
  return seen;
}

/** Columns of the table of paths. */
const PATH_COLUMNS: readonly Column<Path>[] = [
  ["ios", "counter", "Commands that the path has answered.", counter(abi.PATH_IOS)],
  ["read_bytes", "counter", "Bytes read over the path.", counter(abi.PATH_BYTES_READ), "bytes"],
  ["written_bytes", "counter", "Bytes written over the path.", counter(abi.PATH_BYTES_WRITTEN), "bytes"],
  ["errors", "counter", "Commands that failed on the path.", counter(abi.PATH_ERRORS)],
  ["retries", "counter", "Commands that were sent again on the path.", counter(abi.PATH_RETRIES)],
  ["checks", "counter", "Checks by path patrol.", counter(abi.PATH_CHECKS)],
  ["in_flight", "gauge", "Commands in flight on the path.", word(abi.PATH_IN_FLIGHT)],
  ["depth", "gauge", "How many commands the path may have in flight.", word(abi.PATH_DEPTH)],
  ["orphans", "gauge", "Commands that were retried elsewhere and are still in flight here.", word(abi.PATH_ORPHANS)],
  ["priority", "gauge", "Priority of the path within its unit; the larger wins.", (_, __, { priority }) => priority],
  ["enabled", "gauge", "Whether the path's priority is enabled.", hasFlag(abi.PATH_FLAG_ENABLED)],
  ["in_use", "gauge", "Whether the path carries I/O.", hasFlag(abi.PATH_FLAG_IN_USE)],
  [
    "healthy",
    "gauge",
    "Whether the path works; 0 while it is failed or gone.",
    (records, at, path) => bit(pathState(path, recordOf(records, at)) !== "failed"),
  ],
  ["marginal", "gauge", "Whether the path fails intermittently and is a last resort.", hasFlag(abi.PATH_FLAG_MARGINAL)],
  [
    "service_seconds",
    "gauge",
    "Learned time that the path takes for a command.",
    recordValue((records, at) => records.getUint32(at + abi.PATH_SERVICE_NS, true) / 1e9),
    "seconds",
  ],
];

/** Columns of the table of units. */
const UNIT_COLUMNS: readonly Column<Unit>[] = [
  ["requests_answered", "counter", "Requests that were answered.", counter(abi.UNIT_ANSWERED)],
  ["requests_failed", "counter", "Requests that were answered with an error.", counter(abi.UNIT_FAILED)],
  ["requests_in_progress", "gauge", "Requests that are not answered yet.", word(abi.UNIT_REQUESTS)],
  ["requests_waiting", "gauge", "Requests that wait for a path, room, or another command.", word(abi.UNIT_WAITING)],
  ["orphans", "gauge", "Commands that were retried elsewhere and are still in flight.", word(abi.UNIT_ORPHANS)],
  ["connections", "gauge", "Clients that have the unit open.", word(abi.UNIT_CONNECTIONS)],
  [
    "stall_threshold_seconds",
    "gauge",
    "Learned time after which an unanswered command is retried on another path.",
    recordValue((records, at) => u64(records, at + abi.UNIT_STALL_NS) / 1e9),
    "seconds",
  ],
  ["size_bytes", "gauge", "Capacity of the unit.", (_, __, { facts }) => facts.bytes, "bytes"],
];

function each<Thing>({ things, labels: rows, records, places }: Recorded<Thing>, value: Value<Thing>): Samples {
  const fill = (values: Float64Array): void => {
    // The indices are below the length.
    for (let index = 0; index < values.length; index++) {
      values[index] = value(records, places[index] as number, things[index] as Thing);
    }
  };
  return { rows, fill };
}

/** The value 1 for those of a short list of words that hold. */
function told<Thing, Word extends string>(
  label: string,
  words: readonly Word[],
  { things, labels: rows, records, places }: Recorded<Thing>,
  holding: (records: DataView, at: number, thing: Thing) => Word | readonly Word[] | null,
): Samples {
  const place = new Map<Word, number>(words.map((text, index) => [text, index]));
  const fill = (values: Float64Array): void => {
    const tell = (row: number, text: Word): void => {
      values[row * words.length + (place.get(text) ?? 0)] = 1;
    };
    for (let index = 0; index < things.length; index++) {
      const held = holding(records, places[index] as number, things[index] as Thing);
      if (typeof held === "string") tell(index, held);
      else if (held !== null) for (const text of held) tell(index, text);
    }
  };
  return { rows, lines: words.map((text) => ({ more: labels({ [label]: text }) })), fill };
}

const known = (rows: Texts): Samples => ({ rows, fill: (values) => values.fill(1) });

function* columns<Thing>(
  prefix: string,
  table: readonly Column<Thing>[],
  recorded: Recorded<Thing>,
): Generator<Family> {
  for (const [name, type, help, value, unit] of table) {
    const measure = unit === undefined ? {} : { unit };
    yield { name: `${prefix}_${name}`, type, help, ...measure, samples: each(recorded, value) };
  }
}

/** Seconds since a path last answered. */
const answerAge = ({ nowNs }: Snapshot): Value<Path> =>
  recordValue((records, at) => {
    const lastNs = u64(records, at + abi.PATH_LAST_ANSWER_NS);
    return lastNs === 0 ? NaN : Math.max(0, (nowNs - lastNs) / 1e9);
  });

export function* pathFamilies({ paths, snapshot }: Tables): Generator<Family> {
  const prefix = "pathmanager_path";
  yield { name: `${prefix}_info`, type: "gauge", help: "What is known of a path.", samples: known(paths.info) };
  yield {
    name: `${prefix}_state`,
    type: "gauge",
    help: "The path's state: in use, active, standby or failed.",
    samples: told("state", PathState.options, paths, (records, at, path) => pathState(path, recordOf(records, at))),
  };
  yield {
    name: `${prefix}_alua_state`,
    type: "gauge",
    help: "The access state of the path's target port group.",
    samples: told("state", AluaState.options, paths, (records, at) =>
      at < 0 ? null : aluaName(records.getUint8(at + abi.PATH_ALUA)),
    ),
  };
  yield {
    name: `${prefix}_condition`,
    type: "gauge",
    help: "What else is the matter with a path: gone, suspect, marginal, stalled, wrong unit, unverified, unregistered, removing.",
    samples: told("condition", PathCondition.options, paths, (records, at, path) =>
      conditionsOf(path, recordOf(records, at)),
    ),
  };
  yield {
    name: `${prefix}_last_answer_age_seconds`,
    type: "gauge",
    help: "Time since the path last answered anything.",
    unit: "seconds",
    samples: each(paths, answerAge(snapshot)),
  };
  yield* columns(prefix, PATH_COLUMNS, paths);
}

export function* unitFamilies({ units, snapshot }: Tables): Generator<Family> {
  const prefix = "pathmanager_unit";
  yield { name: `${prefix}_info`, type: "gauge", help: "What is known of a unit.", samples: known(units.info) };
  yield {
    name: `${prefix}_state`,
    type: "gauge",
    help: "The unit's state: ok, degraded, not redundant, single path, no path, released, gone or in use elsewhere.",
    samples: told("state", UnitState.options, units, (_, __, unit) => unitState(unit, snapshot)),
  };
  yield {
    name: `${prefix}_usable_paths`,
    type: "gauge",
    help: "Paths that can carry the unit's I/O, now or as an alternative.",
    samples: each(units, (_, __, unit) => serviceablePaths(unit, snapshot)),
  };
  yield* columns(prefix, UNIT_COLUMNS, units);
}
