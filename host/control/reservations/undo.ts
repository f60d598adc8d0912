// Takes back what was registered before the device refused the rest.

import { NO_KEY } from "../../discovery/persistent-reservations.ts";
import type { Path, Unit } from "../inventory/inventory.ts";
import type { Registration } from "./reservation-keys.ts";
import { unregistering, type Parts } from "./reservation-parts.ts";

/** Unregisters the paths, or gives them their former key again. Paths on which that fails are told. */
export async function undo(parts: Parts, unit: Unit, done: readonly Path[], begun: Registration): Promise<void> {
  const left: string[] = [];
  for (const path of done) {
    const out = { ...unregistering(begun.key, begun), serviceActionKey: begun.before ?? NO_KEY };
    const outcome = await parts.commands.order(path, out);
    if (outcome.kind === "silent" || outcome.kind === "refused") left.push(path.number);
  }
  if (done.length === 0) return;
  const detail = { "paths undone": done.length - left.length, "paths left": left.length === 0 ? null : left.join(" ") };
  parts.hub.say("registration-undone", { unit: unit.number, detail });
}
