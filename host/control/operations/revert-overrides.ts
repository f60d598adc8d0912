// A command's setting overrides the configuration, also after a restart, until an operator gives it up.

import { applyAll } from "./applying.ts";
import type { Context } from "../devices/operation-context.ts";
import { unitRow, type Unit } from "../inventory/inventory.ts";
import { commandedKeys } from "./reload.ts";
import type { RevertReport } from "../schemas/configuration-schema.ts";
import type { Settings } from "../state/state-schemas.ts";

type UnitSettings = Pick<Unit, "policy" | "hedgeBudgetPercent">;

/** What commands have set. */
interface Commanded {
  readonly settings: Settings;
  readonly units: ReadonlyMap<Unit, UnitSettings>;
}

const AS_CONFIGURED: UnitSettings = { policy: null, hedgeBudgetPercent: null };

function namesOf({ settings, units }: Commanded): string[] {
  const names = commandedKeys(settings);
  for (const [{ number }, { policy, hedgeBudgetPercent }] of units) {
    if (policy !== null) names.push(`policy of #${number}`);
    if (hedgeBudgetPercent !== null) names.push(`hedge_budget_percent of #${number}`);
  }
  return names;
}

function settingsOf({ policy, hedgeBudgetPercent }: Unit): UnitSettings {
  return { policy, hedgeBudgetPercent };
}

function commanded({ state, inventory }: Context): Commanded {
  const units = inventory.units().filter(({ policy, hedgeBudgetPercent }) => (policy ?? hedgeBudgetPercent) !== null);
  return { settings: state.settings(), units: new Map(units.map((unit) => [unit, settingsOf(unit)])) };
}

/** Stores them and puts them in force. */
async function put(context: Context, { settings, units }: Commanded): Promise<void> {
  for (const [unit, own] of units) Object.assign(unit, own);
  context.state.transaction(() => {
    context.state.replaceSettings(settings);
    context.state.saveUnits([...units.keys()].map(unitRow));
  });
  await applyAll(context, context.effective);
}

function tell({ hub, effective }: Context, { settings, units }: Commanded): void {
  for (const [{ number }, { policy }] of units) {
    if (policy !== null) hub.say("balancing-changed", { unit: number, detail: { policy: "as configured" } });
  }
  const { failback, cluster, patrol } = effective.mode;
  if ((settings.failback ?? settings.cluster) !== undefined) hub.say("mode-changed", { detail: { failback, cluster } });
  if (settings.patrol !== undefined) hub.say("patrol-changed", { detail: { ...patrol } });
}

/**
 * POST /v1/config/revert: the configuration decides everything it can express; all of it, or nothing changes. What only commands
 * can set (paths, names, attachments) stays.
 */
export function revertOverrides(context: Context): Promise<RevertReport> {
  return context.change(async () => {
    const before = commanded(context);
    const reverted = namesOf(before);
    if (reverted.length === 0) return { reverted };
    try {
      await put(context, {
        settings: {},
        units: new Map([...before.units.keys()].map((unit) => [unit, AS_CONFIGURED])),
      });
    } catch (thrown) {
      await put(context, before).catch(() => undefined);
      throw thrown;
    }
    tell(context, before);
    await context.snapshots.current();
    return { reverted };
  });
}
