// An operator's settings of the whole system: failback mode, cluster mode, path patrol.

import { applyAll } from "./applying.ts";
import type { Context } from "../devices/operation-context.ts";
import { patrolCalls } from "../core/core-settings.ts";
import { demand } from "../core/reactor-port.ts";
import type { Mode, ModePatch, Patrol, PatrolPatch } from "../schemas/mode-schema.ts";
import type { Settings } from "../state/state-schemas.ts";

/** State file first, then the core; if the core refuses, the file is restored. */
async function changeSettings(context: Context, settings: Settings, apply: () => Promise<void>): Promise<void> {
  const before = context.state.settings();
  context.state.saveSettings(settings);
  try {
    await apply();
  } catch (thrown) {
    context.state.replaceSettings(before);
    await apply().catch(() => undefined);
    throw thrown;
  }
}

function detailOf({ failback, cluster }: ModePatch): Record<string, string | boolean> {
  return { ...(failback === undefined ? {} : { failback }), ...(cluster === undefined ? {} : { cluster }) };
}

export function patchMode(context: Context, patch: ModePatch): Promise<Mode> {
  return context.change(async () => {
    const settings: Settings = {
      ...(patch.failback === undefined ? {} : { failback: patch.failback }),
      ...(patch.cluster === undefined ? {} : { cluster: patch.cluster }),
    };
    if (Object.keys(settings).length > 0) {
      await changeSettings(context, settings, () => applyAll(context, context.effective, "setting the mode"));
      context.hub.say("mode-changed", { detail: detailOf(patch) });
    }
    return context.effective.mode;
  });
}

export function patchPatrol(context: Context, patch: PatrolPatch): Promise<Patrol> {
  return context.change(async () => {
    const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
    if (Object.keys(given).length === 0) return context.effective.patrol;
    // Stores only what is given; the rest still comes from the configuration file.
    const patrol: PatrolPatch = { ...context.state.settings().patrol, ...given };
    await changeSettings(context, { patrol }, () =>
      demand(context.reactor, patrolCalls(context.effective), "setting path patrol"),
    );
    context.hub.say("patrol-changed", { detail: { ...context.effective.patrol } });
    return context.effective.patrol;
  });
}
