// Paths whose enabled setting was lost because the stored settings were damaged. A path under repair must not carry I/O, but a
// unit must not stop for want of its only path.

import type { Context } from "./operation-context.ts";
import { isShown, type Inventory, type Path, type Unit } from "../inventory/inventory.ts";
import { changing, type Parts, type Plan } from "./rescan-plan.ts";
import type { Acceptance } from "../schemas/configuration-schema.ts";
import { pathState } from "../views/views.ts";
import { counted } from "../../wording.ts";

/** Paths named one by one. */
const NAMED_MAX = 8;

/** Decides for paths that arrive with this scan: as many are enabled as the unit needs to be served, and no more. */
export function decideUnverified(parts: Parts, plan: Plan): void {
  const unverified = plan.arrivals.map(({ path }) => path).filter(({ enabling }) => enabling === "unknown");
  for (const [unit, paths] of Map.groupBy(unverified, (path) => path.unit)) {
    let isServed = hasUsable(parts, plan, unit);
    for (const path of paths.toSorted((a, b) => b.priority - a.priority)) {
      changing(plan, path);
      path.enabled = !isServed;
      path.enabling = "guessed";
      isServed = true;
      const detail = { enabled: path.enabled };
      plan.after.push(() => parts.hub.say("path-unverified", { unit: unit.number, path: path.number, detail }));
    }
  }
}

/** Whether a path whose settings are known carries the unit's I/O. */
function hasUsable({ snapshots }: Parts, plan: Plan, unit: Unit): boolean {
  return [...unit.paths.values()].some((path) => {
    if (!path.enabled || path.enabling === "unknown" || path.foreignIdentity !== null) return false;
    if (path.handle === null) return plan.arriving.has(path);
    return pathState(path, snapshots.newest.path(path.handle)) !== "failed";
  });
}

function unverifiedSentence({ number, unit, enabled }: Path): string {
  const word = enabled ? "enabled" : "disabled";
  return (
    `path ${number} of LogicalUnit #${unit.number} was ${word}, as it was lost what it was: ` +
    `\`pathctl path enable ${number}\` or \`disable\` it`
  );
}

/** What an operator should know about lost settings, one sentence each. */
export function unverifiedSentences(incomplete: string | null, inventory: Inventory): string[] {
  const unverified = inventory.paths().filter((path) => path.enabling === "guessed" && isShown(path));
  const more = unverified.length - NAMED_MAX;
  return [
    ...(incomplete === null
      ? []
      : [
          `settings were lost (${incomplete}): new paths stay disabled where a unit has another; ` +
            "set again what is missing, then `pathctl config accept`",
        ]),
    ...unverified.slice(0, NAMED_MAX).map(unverifiedSentence),
    ...(more > 0 ? [`of ${counted(more, "more path")} it was lost whether they were enabled`] : []),
  ];
}

/** POST /v1/config/accept: the settings are complete as they stand. */
export function acceptSettings(context: Context): Promise<Acceptance> {
  const { state, inventory } = context;
  return context.change(async () => {
    const accepted = unverifiedSentences(state.incomplete, inventory);
    const unverified = inventory.paths().filter(({ enabling }) => enabling !== "known");
    state.acceptSettings(unverified.map(({ id }) => id));
    for (const path of unverified) path.enabling = "known";
    return { accepted };
  });
}
