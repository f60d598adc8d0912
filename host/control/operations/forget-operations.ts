// An operator makes the daemon forget a path, and with its last path a unit.

import { setTimeout } from "node:timers/promises";
import type { Context } from "../devices/operation-context.ts";
import { ControlError } from "../ground/control-errors.ts";
import type { Path, Unit } from "../inventory/inventory.ts";
import { counted } from "../../wording.ts";

/** How often the removal of a forgotten unit from the core is tried, and for how long: command_ms and resets at most. */
const REMOVE_AGAIN_MS = 1000;
const REMOVE_ATTEMPTS_MAX = 120;

/**
 * The path that a number means to `forget`: one that leads to another unit, else one that is gone. Several paths may have had the
 * number before the present one.
 */
function forgettable(context: Context, number: string): Path {
  const path = context.inventory.path(number);
  const isThere = path.handle !== null && path.foreignIdentity === null;
  return isThere ? (context.inventory.gonePaths(number)[0] ?? path) : path;
}

/** Forgets a path that is gone, or that leads to another unit: from then on it is taken for what it is. */
export async function forgetPath(context: Context, number: string): Promise<{ done: true }> {
  await context.change(async () => {
    const path = forgettable(context, number);
    if (path.handle !== null && path.foreignIdentity === null) {
      throw new ControlError(
        "PATH_PRESENT",
        `path ${number} is there; only a path whose device is gone can be forgotten`,
        {
          parameter: number,
          remedy: "remove the device first, or disable the path",
        },
      );
    }
    const isLast = path.unit.paths.size === 1;
    if (isLast && context.attachments.of(path.unit).length > 0) {
      throw new ControlError("ATTACHED", `LogicalUnit #${path.unit.number} is attached and has no other path`, {
        parameter: number,
        remedy: "detach it first",
      });
    }
    if (isLast) await refuseWithClients(context, path);
    context.state.transaction(() => {
      context.state.forgetPath(path.id);
      if (isLast) context.state.forgetUnit(path.unit.number);
    });
    await context.bringUp.remove(path);
    context.inventory.removePath(path);
    context.hub.say("path-forgotten", { unit: path.unit.number, path: number });
    if (isLast) await forgetUnit(context, path.unit);
  });
  await context.rescan();
  return { done: true };
}

/** Clients stay connected to a unit whose paths are gone; without the unit their requests would never be answered. */
async function refuseWithClients(context: Context, { number, unit }: Path): Promise<void> {
  const { handle } = unit;
  if (handle === null) return;
  const connections = (await context.snapshots.current()).unit(handle)?.connections ?? 0;
  if (connections === 0) return;
  const clients = counted(connections, "NBD connection");
  throw new ControlError("BUSY", `LogicalUnit #${unit.number} has no other path, and ${clients}`, {
    parameter: number,
    remedy: "end the clients first",
  });
}

const isRemoved = ({ reactor }: Pick<Context, "reactor">, handle: number): Promise<boolean> =>
  reactor.unitRemove(handle).then(
    () => true,
    () => false,
  );

/** Commands without an answer hold the core's unit until they are settled; only then is its place free. */
async function removeLater(context: Pick<Context, "reactor">, handle: number): Promise<void> {
  for (let attempt = 0; attempt < REMOVE_ATTEMPTS_MAX; attempt++) {
    await setTimeout(REMOVE_AGAIN_MS, undefined, { ref: false });
    if (await isRemoved(context, handle)) return;
  }
}

/** Removes a unit from its core, now or when its last commands have been answered. */
export async function removeFromCore(context: Pick<Context, "reactor">, handle: number): Promise<void> {
  if (!(await isRemoved(context, handle))) void removeLater(context, handle);
}

async function forgetUnit(context: Context, unit: Unit): Promise<void> {
  const { handle } = unit;
  context.inventory.removeUnit(unit);
  context.offer();
  if (handle !== null) await removeFromCore(context, handle);
  context.hub.say("unit-removed", { unit: unit.number, detail: { identity: unit.identity.text } });
}
