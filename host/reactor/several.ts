// Divides what concerns several reactors among them, and makes one answer of theirs.

import { VALUES_OF } from "./coarse-histograms.ts";
import { handleIn, ownHandle, reactorOf } from "./handles.ts";
import type { CoreLimits } from "./laid-out-core.ts";
import { ReactorError } from "./reactor-errors.ts";
import type {
  CoarseRequest,
  ReactorLoad,
  AddedUnit,
  Refusal,
  Setting,
  StatisticsCopy,
  StatisticsRequest,
  UnitToAdd,
} from "./reactor-messages.ts";
import type { UblkQueue } from "./ublk-queues.ts";
import type { SnapshotCopy, TableCopy } from "./decode-records.ts";

/** How long a copy of all tables waits for a reactor that does not answer; its last copy then stands for it. */
const STRAGGLER_MS = 250;

/** Calls `make` at most once. */
export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}

// ---- Settings ----

/** The reactors that a setting is for. */
function whoseSetting(setting: Setting, all: readonly number[]): readonly number[] {
  if (setting.name === "modeSet") return all;
  return [reactorOf(setting.name === "pathSwap" ? setting.a : setting.handle)];
}

function ownSetting(setting: Setting): Setting {
  if (setting.name === "modeSet") return setting;
  if (setting.name === "pathSwap") return { ...setting, a: ownHandle(setting.a), b: ownHandle(setting.b) };
  return { ...setting, handle: ownHandle(setting.handle) };
}

/** The places of the settings that each reactor gets, in order. */
export function settingParts(settings: readonly Setting[], all: readonly number[]): Map<number, number[]> {
  const parts = new Map<number, number[]>();
  for (const [at, setting] of settings.entries()) {
    for (const reactor of whoseSetting(setting, all)) {
      const part = parts.get(reactor);
      if (part === undefined) parts.set(reactor, [at]);
      else part.push(at);
    }
  }
  return parts;
}

/** Sends each reactor its part. A refusal by one is the answer. */
export async function inParts(
  settings: readonly Setting[],
  parts: ReadonlyMap<number, readonly number[]>,
  send: (reactor: number, part: Setting[]) => Promise<(Refusal | null)[]>,
): Promise<(Refusal | null)[]> {
  const answers: (Refusal | null)[] = settings.map(() => null);
  await Promise.all(
    [...parts].map(async ([reactor, places]) => {
      const part = places.flatMap((at) => settings[at] ?? []).map(ownSetting);
      const refusals = await send(reactor, part);
      for (const [index, at] of places.entries()) answers[at] ??= refusals[index] ?? null;
    }),
  );
  return answers;
}

// ---- Units ----

/** The reactor of a unit to be added. */
const whoseUnit = ({ handle, reactor = 0 }: UnitToAdd): number => (handle === null ? reactor : reactorOf(handle));

function ownUnit({ handle, settings, paths }: UnitToAdd): UnitToAdd {
  return {
    handle: handle === null ? null : ownHandle(handle),
    settings,
    paths: paths.map((entry) => ({ ...entry, path: { ...entry.path, port: ownHandle(entry.path.port) } })),
  };
}

const global = (reactor: number, own: number | Refusal): number | Refusal =>
  typeof own === "number" ? handleIn(reactor, own) : own;

/**
 * Sends each reactor its units, and returns what became of them in the order of the units. A reactor that does not take its units leaves
 * the others theirs; if none takes any, the call fails.
 */
export async function addUnitsTo(
  units: readonly UnitToAdd[],
  send: (reactor: number, part: UnitToAdd[], places: readonly number[]) => Promise<AddedUnit[]>,
): Promise<AddedUnit[]> {
  const parts = [...Map.groupBy(units.entries(), ([, unit]) => whoseUnit(unit))];
  const sent = parts.map(([reactor, entries]) => {
    const places = entries.map(([at]) => at);
    const own = entries.map(([, unit]) => ownUnit(unit));
    return send(reactor, own, places);
  });
  const answers = await Promise.allSettled(sent);
  const [first] = answers;
  if (first?.status === "rejected" && answers.every(({ status }) => status === "rejected")) throw first.reason;
  const added = new Map<number, AddedUnit>();
  for (const [index, [reactor, entries]] of parts.entries()) {
    const answer = answers[index];
    if (answer === undefined) continue;
    for (const [which, [at]] of entries.entries()) {
      const one = answer.status === "rejected" ? refusedFor(answer.reason) : answer.value[which];
      if (one === undefined) continue;
      added.set(at, { unit: global(reactor, one.unit), paths: one.paths.map((path) => global(reactor, path)) });
    }
  }
  return units.flatMap((_, at) => added.get(at) ?? []);
}

function refusedFor(thrown: unknown): AddedUnit {
  const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "REACTOR_INTERNAL";
  return { unit: { code, message: thrown instanceof Error ? thrown.message : String(thrown) }, paths: [] };
}

// ---- Copies for displays ----

/** The newest copy of each reactor. */
export type Newest = Map<number, SnapshotCopy>;

function mergedTable(copies: readonly (readonly [number, TableCopy])[]): TableCopy {
  const [first] = copies;
  if (copies.length === 1 && first !== undefined && first[0] === 0) return first[1];
  const handles = new Float64Array(copies.reduce((sum, [, copy]) => sum + copy.handles.length, 0));
  const records = new Uint8Array(copies.reduce((sum, [, copy]) => sum + copy.records.length, 0));
  let at = 0;
  let byte = 0;
  for (const [reactor, copy] of copies) {
    for (const handle of copy.handles) handles[at++] = handleIn(reactor, handle);
    records.set(copy.records, byte);
    byte += copy.records.length;
  }
  return { handles, records };
}

function merged(newest: Newest): SnapshotCopy {
  const copies = [...newest].toSorted(([a], [b]) => a - b);
  return {
    nowNs: Math.max(...copies.map(([, { nowNs }]) => nowNs)),
    eventsLost: copies.reduce((sum, [, { eventsLost }]) => sum + eventsLost, 0),
    paths: mergedTable(copies.map(([reactor, { paths }]) => [reactor, paths])),
    units: mergedTable(copies.map(([reactor, { units }]) => [reactor, units])),
  };
}

/**
 * Copies of all tables. Of a reactor that does not answer the last copy is taken, if there is one.
 * @param present those that take calls
 */
export async function mergedSnapshot(
  present: readonly number[],
  newest: Newest,
  ask: (reactor: number) => Promise<SnapshotCopy>,
): Promise<SnapshotCopy> {
  const asked = (present.length === 0 ? [0] : present).map(async (reactor) => {
    newest.set(reactor, await ask(reactor));
  });
  if (asked.length === 1) await asked[0];
  else await settledWithin(asked, newest.size < asked.length ? null : STRAGGLER_MS);
  return merged(newest);
}

/** Waits for all; after a time for those only that have answered by then. */
async function settledWithin(asked: readonly Promise<void>[], ms: number | null): Promise<void> {
  const all = Promise.allSettled(asked).then((answers) => {
    const refused = answers.find(({ status }) => status === "rejected");
    if (refused?.status === "rejected" && answers.every(({ status }) => status === "rejected")) throw refused.reason;
  });
  if (ms === null) return all;
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([all, limit]).finally(() => clearTimeout(timer));
}

const handlesIn = (handles: readonly number[], reactor: number): number[] =>
  handles.filter((handle) => reactorOf(handle) === reactor).map(ownHandle);

/** Statistics regions of all reactors that answer. */
export async function mergedStatistics(
  { paths = [], units = [] }: StatisticsRequest,
  present: readonly number[],
  ask: (reactor: number, part: StatisticsRequest) => Promise<StatisticsCopy>,
): Promise<StatisticsCopy> {
  const found = { paths: new Map<number, Uint8Array>(), units: new Map<number, Uint8Array>() };
  await Promise.all(
    (present.length === 0 ? [0] : present).map(async (reactor) => {
      const copy = await ask(reactor, { paths: handlesIn(paths, reactor), units: handlesIn(units, reactor) });
      for (const [own, bytes] of copy.paths) found.paths.set(handleIn(reactor, own), bytes);
      for (const [own, bytes] of copy.units) found.units.set(handleIn(reactor, own), bytes);
    }),
  );
  return found;
}

/** Coarse histograms in the order of the handles. Those of a reactor that does not take calls are missing (NaN), not zero: a counter may not fall. */
export async function mergedHistograms(
  { which, handles }: CoarseRequest,
  present: readonly number[],
  ask: (reactor: number, part: CoarseRequest) => Promise<Float64Array>,
): Promise<Float64Array> {
  const places = Map.groupBy(handles.keys(), (at) => reactorOf(handles[at] ?? 0));
  const each = VALUES_OF[which];
  const all = new Float64Array(handles.length * each).fill(NaN);
  await Promise.all(
    [...places].map(async ([reactor, its]) => {
      if (!present.includes(reactor)) return;
      const answer = await ask(reactor, { which, handles: its.map((at) => ownHandle(handles[at] ?? 0)) });
      for (const [index, at] of its.entries()) {
        const record = answer.subarray(index * each, (index + 1) * each);
        all.set(record, at * each);
      }
    }),
  );
  return all;
}

function limitsOf(first: CoreLimits, loads: readonly ReactorLoad[]): CoreLimits {
  const sum = (limit: keyof CoreLimits): number => loads.reduce((all, { limits }) => all + limits[limit], 0);
  return {
    connections: sum("connections"),
    requests: sum("requests"),
    commands: sum("commands"),
    poolBytes: sum("poolBytes"),
    units: sum("units"),
    paths: sum("paths"),
    events: sum("events"),
    // Of one request, which is in one reactor.
    payloadBytes: first.payloadBytes,
  };
}

/** The work of all, and what all together have room for: each has its own records and its own part of the pool. */
export function mergedLoad(loads: readonly ReactorLoad[]): ReactorLoad {
  const [first] = loads;
  if (first === undefined) throw new ReactorError("REACTOR_STOPPED", "load: there is no reactor");
  const counts = first.counts.map((_, at) => loads.reduce((sum, load) => sum + (load.counts[at] ?? 0), 0));
  const poolFreeBytes = loads.reduce((sum, load) => sum + load.poolFreeBytes, 0);
  return {
    limits: limitsOf(first.limits, loads),
    poolFreeBytes,
    firstClassNs: first.firstClassNs,
    busyNs: loads.reduce((sum, { busyNs }) => sum + busyNs, 0),
    descriptorRefusals: loads.reduce((sum, { descriptorRefusals }) => sum + descriptorRefusals, 0),
    counts,
  };
}

export const queueIn = (reactor: number, queue: UblkQueue): UblkQueue => ({
  ...queue,
  unit: handleIn(reactor, queue.unit),
  client: handleIn(reactor, queue.client),
});
