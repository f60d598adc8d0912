// An operator's operations on paths. Each one checks first, then writes the state file, then tells the core; if the core refuses,
// the state file is restored. So an answer means that the change is on disk and in force.

import * as abi from "../../abi.ts";
import type { MessageName } from "../../liaison/messages.ts";
import type { Context } from "../devices/operation-context.ts";
import { ControlError, reasonOf } from "../ground/control-errors.ts";
import type { About } from "../events/event-hub.ts";
import { isShown, pathRow, rivalsOf, type Path, type Unit } from "../inventory/inventory.ts";
import { demand, pathSet, pathSwap, type CoreCall } from "../core/reactor-port.ts";
import type { PathView } from "../schemas/path-schema.ts";
import { vouch } from "../events/marginal-watch.ts";
import { waitVerified } from "../core/wait-verified.ts";
import { pathState, pathView } from "../views/views.ts";

/** An enabled path carries I/O once its identity is verified; how long to wait for that while other commands wait. */
export const VERIFY_MS_MAX = 1000;

/** A change of settings of some paths. */
interface PathChange {
  readonly paths: readonly Path[];
  /** Those that get a number. */
  readonly numbered: readonly Path[];
  readonly apply: () => void;
  readonly calls: readonly CoreCall[];
}

/** State file, then core; or neither. */
async function changePaths(context: Context, change: PathChange, what: string): Promise<void> {
  const { paths, numbered, calls } = change;
  const ofUnits = new Set(paths.flatMap((path) => [...path.unit.paths.values()]));
  const before = [...ofUnits].map((path) => ({ path, row: pathRow(path) }));
  const undo = (): void => {
    for (const { path, row } of before) {
      const { priority, enabled, enabling, priorityLost } = row;
      Object.assign(path, { priority, enabled, enabling, priorityLost });
    }
  };
  change.apply();
  for (const path of numbered) settleNumber(path, paths);
  const changed = before.filter(({ path, row }) => JSON.stringify(pathRow(path)) !== JSON.stringify(row));
  try {
    context.state.savePaths(changed.map(({ path }) => pathRow(path)));
  } catch (thrown) {
    undo();
    throw thrown;
  }
  try {
    await demand(context.reactor, calls, what, paths[0]?.number ?? null);
  } catch (thrown) {
    undo();
    context.state.savePaths(changed.map(({ row }) => row));
    throw thrown;
  }
}

/**
 * Records who has a number now: a present path keeps it against all that are gone, among those the one that got it last. Paths
 * that lost it get a new number when their devices return (reference section 2).
 */
function settleNumber(path: Path, changing: readonly Path[]): void {
  path.priorityLost = path.handle === null && holderOf(path.unit, path.priority, [path]) !== undefined;
  for (const rival of rivalsOf(path)) if (!changing.includes(rival)) rival.priorityLost = true;
}

export async function answer(context: Context, path: Path): Promise<PathView> {
  await context.snapshots.current();
  return pathView(path, context.views);
}

/** Set by an operator, so it is known. */
function enable(path: Path, enabled: boolean): void {
  path.enabled = enabled;
  path.enabling = "known";
}

/** `-avail`, `-notavail`. */
export function enablePath(context: Context, number: string, enabled: boolean): Promise<PathView> {
  return context.change(async () => {
    const path = context.inventory.path(number);
    const about = { unit: path.unit.number, path: number, detail: { enabled } };
    const calls = path.handle === null ? [] : [pathSet(path.handle, abi.PATH_SET_ENABLED, enabled ? 1 : 0)];
    try {
      const change = { paths: [path], numbered: [], apply: () => enable(path, enabled), calls };
      await changePaths(context, change, enabled ? "enabling" : "disabling");
    } catch (thrown) {
      context.hub.say("effectiveness-failed", { ...about, detail: { enabled, reason: reasonOf(thrown) } });
      throw thrown;
    }
    context.hub.say("effectiveness-changed", about);
    if (enabled) await waitVerified(context.snapshots, [path], VERIFY_MS_MAX);
    return answer(context, path);
  });
}

/** Another present path of the unit with this priority. */
function holderOf(unit: Unit, priority: number, except: readonly Path[]): Path | undefined {
  return [...unit.paths.values()].find(
    (other) => other.priority === priority && other.handle !== null && !except.includes(other),
  );
}

async function withPriorityMessages<T>(context: Context, paths: readonly Path[], work: () => Promise<T>): Promise<T> {
  const say = (kind: MessageName, detailOf: (path: Path) => NonNullable<About["detail"]>): void => {
    for (const path of paths) {
      context.hub.say(kind, { unit: path.unit.number, path: path.number, detail: detailOf(path) });
    }
  };
  say("priority-changing", () => ({}));
  try {
    const result = await work();
    say("priority-changed", ({ priority }) => ({ priority }));
    return result;
  } catch (thrown) {
    say("priority-failed", () => ({ reason: reasonOf(thrown) }));
    throw thrown;
  }
}

/** `-priority`. */
export function setPriority(context: Context, number: string, priority: number): Promise<PathView> {
  return context.change(async () => {
    const path = context.inventory.path(number);
    await withPriorityMessages(context, [path], async () => {
      const holder = holderOf(path.unit, priority, [path]);
      if (holder !== undefined) {
        throw new ControlError(
          "PRIORITY_IN_USE",
          `path ${holder.number} of LogicalUnit #${path.unit.number} has priority ${priority}`,
          {
            parameter: number,
            remedy: `choose another number, or exchange the two with swap ${number} ${holder.number}`,
          },
        );
      }
      const calls = path.handle === null ? [] : [pathSet(path.handle, abi.PATH_SET_PRIORITY, priority)];
      const apply = (): void => void (path.priority = priority);
      await changePaths(context, { paths: [path], numbered: [path], apply, calls }, "setting the priority");
    });
    return answer(context, path);
  });
}

function exchange(a: Path, b: Path): PathChange {
  const calls: CoreCall[] = [];
  if (a.handle !== null && b.handle !== null) calls.push(pathSwap(a.handle, b.handle));
  else if (a.handle !== null) calls.push(pathSet(a.handle, abi.PATH_SET_PRIORITY, b.priority));
  else if (b.handle !== null) calls.push(pathSet(b.handle, abi.PATH_SET_PRIORITY, a.priority));
  const apply = (): void => {
    [a.priority, b.priority] = [b.priority, a.priority];
  };
  return { paths: [a, b], numbered: [a, b], apply, calls };
}

/** `-swap`. */
export function swapPaths(context: Context, first: string, second: string): Promise<{ paths: PathView[] }> {
  return context.change(async () => {
    const a = context.inventory.path(first);
    const b = context.inventory.path(second);
    await withPriorityMessages(context, [a], async () => {
      if (a.unit !== b.unit) {
        throw new ControlError(
          "NOT_ONE_UNIT",
          `path ${first} belongs to LogicalUnit #${a.unit.number}, path ${second} to #${b.unit.number}`,
          { parameter: second, remedy: "name two paths of one logical unit" },
        );
      }
      if (a === b) return;
      for (const [path, priority] of [
        [a, b.priority],
        [b, a.priority],
      ] as const) {
        const holder = path.handle === null ? undefined : holderOf(path.unit, priority, [a, b]);
        if (holder === undefined) continue;
        throw new ControlError(
          "PRIORITY_IN_USE",
          `path ${holder.number} took priority ${priority} while its owner was gone`,
          {
            parameter: path.number,
            remedy: "set the priorities one by one",
          },
        );
      }
      await changePaths(context, exchange(a, b), "exchanging priorities");
    });
    await context.snapshots.current();
    return { paths: [pathView(a, context.views), pathView(b, context.views)] };
  });
}

/** Refuses to prefer a path that cannot carry I/O. */
function checkUsable(context: Context, path: Path): void {
  const record = path.handle === null ? null : context.snapshots.newest.path(path.handle);
  if (pathState(path, record) !== "failed") return;
  const whatFailed = record === null ? "its device is gone" : "it is failed";
  const why = path.foreignIdentity === null ? whatFailed : "it leads to another unit";
  throw new ControlError("PATH_FAILED", `path ${path.number} cannot be used: ${why}`, {
    parameter: path.number,
    remedy: "repair it and take it back with failback first",
  });
}

/** Enables the path and swaps its priority with the highest in its unit. */
function makingFirst(path: Path): PathChange {
  const present = [...path.unit.paths.values()].filter((other) => other.handle !== null);
  const highest = present.reduce((best, other) => (other.priority > best.priority ? other : best), path);
  const { handle } = path;
  const enabling = handle === null ? [] : [pathSet(handle, abi.PATH_SET_ENABLED, 1)];
  const stay: PathChange = { paths: [path], numbered: [], apply: () => undefined, calls: [] };
  const swap = highest === path ? stay : exchange(path, highest);
  const apply = (): void => {
    swap.apply();
    enable(path, true);
  };
  return { ...swap, apply, calls: [...swap.calls, ...enabling] };
}

/** Makes paths of different units the preferred ones: all of them, or none. */
async function makeFirst(context: Context, paths: readonly Path[]): Promise<void> {
  const changes = paths.map(makingFirst);
  const change: PathChange = {
    paths: changes.flatMap((one) => one.paths),
    numbered: changes.flatMap((one) => one.numbered),
    apply: () => {
      for (const one of changes) one.apply();
    },
    calls: changes.flatMap((one) => one.calls),
  };
  // An operator who prefers a marginal path clears it by that; otherwise the command would have no effect.
  const marginal = paths.filter(({ handle }) => handle !== null && context.snapshots.newest.isMarginal(handle));
  await withPriorityMessages(context, paths, () => changePaths(context, change, "making it the path in use"));
  for (const path of marginal) if (path.handle !== null) await vouch(context, path, path.handle);
  await waitVerified(context.snapshots, paths, VERIFY_MS_MAX);
}

/** `-path`. */
export function usePath(context: Context, number: string): Promise<PathView> {
  return context.change(async () => {
    const path = context.inventory.path(number);
    await context.snapshots.current();
    checkUsable(context, path);
    await makeFirst(context, [path]);
    return answer(context, path);
  });
}

/** `-path` with fields left out: applies to every unit that has such a path, or, if one of them refuses, to none. */
export function useMatching(context: Context, pattern: string): Promise<{ paths: PathView[] }> {
  return context.change(async () => {
    const fields = pattern.split(":");
    const chosen = context.inventory
      .paths()
      .filter(isShown)
      .filter((path) =>
        path.number.split(":").every((field, index) => fields[index] === "" || Number(fields[index]) === Number(field)),
      );
    if (chosen.length === 0) {
      throw new ControlError("UNKNOWN_PATH", `no path matches ${pattern}`, {
        parameter: pattern,
        remedy: "`pathctl show paths` lists them",
      });
    }
    const byUnit = Map.groupBy(chosen, (path) => path.unit);
    for (const [unit, paths] of byUnit) {
      if (paths.length === 1) continue;
      const numbers = paths.map((path) => path.number).join(" and ");
      throw new ControlError("AMBIGUOUS_PATH", `${pattern} matches ${numbers} of LogicalUnit #${unit.number}`, {
        parameter: pattern,
        remedy: "give more fields, so that it matches one path of each logical unit",
      });
    }
    await context.snapshots.current();
    for (const path of chosen) checkUsable(context, path);
    await makeFirst(context, chosen);
    await context.snapshots.current();
    return { paths: chosen.map((path) => pathView(path, context.views)) };
  });
}
