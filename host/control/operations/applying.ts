// Puts settings in force in the core: those of the system, and those of every offered unit.

import type { Context } from "../devices/operation-context.ts";
import { modeCalls, plainPolicyCalls, unitSettingCalls } from "../core/core-settings.ts";
import type { Effective } from "../settings/effective.ts";
import { demand, type CoreCall } from "../core/reactor-port.ts";
import { sliced } from "../ground/answer-pieces.ts";

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
  const settings: CoreCall[] = [];
  // For a thousand units this takes a tenth of a second.
  for await (const unit of sliced(units)) {
    const { handle } = unit;
    if (handle === null) continue;
    settings.push(...unitSettingCalls(unit, handle, effective), ...plainPolicyCalls(unit, handle, effective));
  }
  const modes = modeCalls(effective);
  const calls = effective.mode.cluster ? [...settings, ...modes] : [...modes, ...settings];
  await demand(reactor, calls, what);
  await bringUp.applyPathPolicies(units, effective);
}
