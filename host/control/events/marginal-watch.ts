// Intermittent-failure monitoring belongs to the core, for as long as a path's device is present. This keeps the record when the
// device goes and returns, which the core takes for a new path, and lets an operator clear a marginal path.

import * as abi from "../../abi.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import type { Effective } from "../settings/effective.ts";
import type { Inventory, Path } from "../inventory/inventory.ts";
import { demand, pathSet, type CoreCall } from "../core/reactor-port.ts";
import type { State } from "../state/state.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { MARGINAL_COUNT_MAX } from "../../settings/names.ts";
import { counted } from "../../wording.ts";

/** Marginal paths named one by one. */
const NAMED_MAX = 8;

/** The device of a path has gone, which counts as a fault, like a failed I/O. @param nowMs of the monotonic clock */
export function noteRemoval(path: Path, nowMs: number): void {
  path.removalsMs = [...path.removalsMs, nowMs].slice(-MARGINAL_COUNT_MAX);
}

/** What the core is told about a path it gets again: a marginal path stays marginal, and each removal was a fault. */
export function faultCalls(path: Path, handle: number, effective: Effective, nowMs: number): CoreCall[] {
  const { count, window_s } = effective.configuration.marginal;
  const removals = path.removalsMs.filter((whenMs) => nowMs - whenMs <= window_s * 1000).length;
  const faults = Math.min(path.isMarginal ? Math.max(count, removals) : removals, MARGINAL_COUNT_MAX);
  return faults === 0 ? [] : [pathSet(handle, abi.PATH_SET_FAULTS, faults)];
}

/** Where an operator's clearing of a path is recorded. */
interface Records {
  readonly reactor: ReactorClient;
  readonly state: State;
}

/** An operator clears the path: it is used like any other, and its faults are forgotten. */
export async function vouch({ reactor, state }: Records, path: Path, handle: number): Promise<void> {
  // The state file first, so that an answered command survives a restart. If the core refuses, PathWatch restores the record.
  if (path.isMarginal) state.pathIsNotMarginal(path.id);
  path.isMarginal = false;
  await demand(reactor, [pathSet(handle, abi.PATH_SET_CLEAR_MARGINAL, 1)], "vouching for a path", path.number);
  path.removalsMs = [];
}

/** One sentence for each marginal path that an operator has to repair and reinstate. */
export function marginalSentences(inventory: Inventory, snapshot: Snapshot): string[] {
  const marginal = inventory.paths().filter(({ handle }) => handle !== null && snapshot.isMarginal(handle));
  const sentences = marginal
    .slice(0, NAMED_MAX)
    .map(
      ({ number, unit }) =>
        `path ${number} of LogicalUnit #${unit.number} fails again and again and is a last resort; ` +
        `\`pathctl path failback ${number}\` once it is repaired`,
    );
  const more = marginal.length - NAMED_MAX;
  return more > 0
    ? [...sentences, `${counted(more, "more path")} ${more === 1 ? "fails" : "fail"} again and again`]
    : sentences;
}
