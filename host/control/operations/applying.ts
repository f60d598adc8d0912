// Puts settings in force in the core: those of the system, and those of every offered unit.

import type { Context } from "../devices/operation-context.ts";
import { modeCalls, plainPolicyCalls, unitSettingCalls } from "../core/core-settings.ts";
import type { Effective } from "../settings/effective.ts";
import { demand, type CoreCall } from "../core/reactor-port.ts";
import { sliced } from "../ground/answer-pieces.ts";
import type { Unit } from "../inventory/inventory.ts";

/** The settings of every offered unit. For a thousand units this takes a tenth of a second. */
async function* unitCalls(units: readonly Unit[], effective: Effective): AsyncGenerator<CoreCall> {
  for await (const unit of sliced(units)) {
    const { handle } = unit;
    if (handle === null) continue;
    yield* unitSettingCalls(unit, handle, effective);
    yield* plainPolicyCalls(unit, handle, effective);
  }
}

/** Cluster mode is the last to go on and the first to go off. */
async function* allCalls(units: readonly Unit[], effective: Effective): AsyncGenerator<CoreCall> {
  const { cluster } = effective.mode;
  if (!cluster) yield* modeCalls(effective);
  yield* unitCalls(units, effective);
  if (cluster) yield* modeCalls(effective);
}

/**
 * Cluster mode excludes dynamic balancing: when it goes on, policies are set before it; when it goes off, after it.
 * @param what goes into error messages
 */
export async function applyAll(
  { inventory, reactor, bringUp }: Pick<Context, "inventory" | "reactor" | "bringUp">,
  effective: Effective,
  what = "applying the configuration",
): Promise<void> {
  const units = inventory.units();
  await demand(reactor, allCalls(units, effective), what);
  await bringUp.applyPathPolicies(units, effective);
}
