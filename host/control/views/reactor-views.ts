// What is shown of each reactor.

import * as abi from "../../abi.ts";
import { reactorOf } from "../../reactor/handles.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import type { ReactorLoads } from "../core/reactor-loads.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { ReactorStatus } from "../schemas/status-schema.ts";

export interface ReactorSources {
  readonly reactor: Pick<ReactorClient, "reactors" | "whyAway">;
  readonly loads: Pick<ReactorLoads, "of" | "busyPercent">;
  readonly inventory: Inventory;
  readonly snapshot: Snapshot;
  /** Whether the tables can be copied; false when the only reactor does not turn. */
  readonly isAnswering: boolean;
}

interface Used {
  units: number;
  connections: number;
  requests: number;
  commands: number;
}

/** Slots in use, by reactor. */
function usedBy({ reactor, inventory, snapshot }: ReactorSources): Used[] {
  const all = Array.from({ length: reactor.reactors }, (): Used => ({
    units: 0,
    connections: 0,
    requests: 0,
    commands: 0,
  }));
  for (const unit of inventory.units()) {
    const used = unit.handle === null ? undefined : all[reactorOf(unit.handle)];
    if (unit.handle === null || used === undefined) continue;
    used.units += 1;
    used.connections += snapshot.units.word(unit.handle, abi.UNIT_CONNECTIONS) ?? 0;
    used.requests += snapshot.units.word(unit.handle, abi.UNIT_REQUESTS) ?? 0;
    for (const { handle } of unit.paths.values()) {
      if (handle === null) continue;
      used.commands += snapshot.paths.word(handle, abi.PATH_IN_FLIGHT) ?? 0;
      used.commands += snapshot.paths.word(handle, abi.PATH_ORPHANS) ?? 0;
    }
  }
  return all;
}

const SILENT = "the reactor does not answer";

/** Each reactor; what one told last is shown of those that do not answer. */
export function reactorViews(sources: ReactorSources): ReactorStatus[] {
  const { reactor, loads, isAnswering } = sources;
  return usedBy(sources).map(({ units, connections, requests, commands }, number) => {
    const load = loads.of(number);
    const problem = reactor.whyAway(number) ?? (isAnswering || reactor.reactors > 1 ? null : SILENT);
    return {
      reactor: number,
      answering: problem === null,
      problem,
      turns: load === null ? null : load.counts.reduce((sum, count) => sum + count, 0),
      busyMs: load === null ? null : Math.round(load.busyNs / 1e6),
      busyPercent: problem === null ? loads.busyPercent(number) : null,
      units,
      connections,
      requests,
      requestsMax: load?.limits.requests ?? null,
      commands,
      commandsMax: load?.limits.commands ?? null,
      poolBytes: load?.limits.poolBytes ?? null,
      poolFreeBytes: load?.poolFreeBytes ?? null,
    };
  });
}

/** Sentences about those of several that do not answer. */
export const awaySentences = (reactors: readonly ReactorStatus[]): string[] =>
  reactors.length === 1
    ? []
    : reactors.flatMap(({ reactor, problem, units }) =>
        problem === null ? [] : [`${problem}: no I/O goes on for its units (${units} on reactor ${reactor})`],
      );
