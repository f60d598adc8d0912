// An operator takes failed and marginal paths back. The core checks a path first.

import * as abi from "../../abi.ts";
import { waitForFailback } from "./failback.ts";
import type { Context } from "../devices/operation-context.ts";
import { ControlError, reasonOf } from "../ground/control-errors.ts";
import type { Path } from "../inventory/inventory.ts";
import { answer, VERIFY_MS_MAX } from "./path-operations.ts";
import { demand, pathSet } from "../core/reactor-port.ts";
import type { PathView } from "../schemas/path-schema.ts";
import { vouch } from "../events/marginal-watch.ts";
import { waitVerified } from "../core/wait-verified.ts";
import { pathState } from "../views/views.ts";

/** Fails back one failed path, or clears a marginal one; throws the reason why it could not. */
async function failback(context: Context, path: Path): Promise<void> {
  const { handle } = path;
  const record = handle === null ? null : context.snapshots.newest.path(handle);
  if (handle === null || record === null) {
    throw new ControlError("PATH_CHECK_FAILED", `path ${path.number} cannot be taken back: its device is gone`, {
      parameter: path.number,
      remedy: "connect it again; it is then taken back by itself",
    });
  }
  if (path.foreignIdentity !== null) {
    throw new ControlError("WRONG_UNIT", `path ${path.number} leads to ${path.foreignIdentity}, not to its own unit`, {
      parameter: path.number,
      remedy: "correct the mapping of the array, or forget the path",
    });
  }
  if (pathState(path, record) !== "failed") {
    if (context.snapshots.newest.isMarginal(handle)) return vouch(context, path, handle);
    throw new ControlError("PATH_NOT_FAILED", `path ${path.number} is not failed`, {
      parameter: path.number,
      remedy: "nothing has to be done; enable it if it is in standby",
    });
  }
  const outcome = waitForFailback(context, path, handle);
  try {
    await demand(context.reactor, [pathSet(handle, abi.PATH_SET_FAILED, 0)], "taking the path back", path.number);
  } catch (thrown) {
    outcome.cancel();
    throw thrown;
  }
  await outcome.done;
  await vouch(context, path, handle);
}

/** `-failback`. */
export async function failbackPath(context: Context, number: string): Promise<PathView> {
  const path = context.inventory.path(number);
  await context.snapshots.current();
  await failback(context, path);
  await waitVerified(context.snapshots, [path], VERIFY_MS_MAX);
  return answer(context, path);
}

/** `-failbackall`: every failed or marginal path whose device is present, in parallel. */
export async function failbackAll(context: Context) {
  const snapshot = await context.snapshots.current();
  const failed = context.inventory.paths().filter((path) => {
    const record = path.handle === null ? null : snapshot.path(path.handle);
    return record !== null && (pathState(path, record) === "failed" || (record.flags & abi.PATH_FLAG_MARGINAL) !== 0);
  });
  const results = await Promise.all(
    failed.map(async (path) => {
      try {
        await failback(context, path);
        return { path: path.number, done: true, reason: null };
      } catch (thrown) {
        return { path: path.number, done: false, reason: reasonOf(thrown) };
      }
    }),
  );
  await context.snapshots.current();
  return { results };
}
