// An operator moves a unit to another reactor. It leaves the first only when nothing is under way to it there, so that no late write of
// the first can overtake one of the second.

import * as abi from "../../abi.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { reactorOf } from "../../reactor/handles.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { demand, pathSet, unitSet } from "../core/reactor-port.ts";
import { waitVerified } from "../core/wait-verified.ts";
import type { Leftovers } from "../devices/leftovers-watch.ts";
import type { Arrival } from "../devices/bring-up.ts";
import type { Context } from "../devices/operation-context.ts";
import { ControlError } from "../ground/control-errors.ts";
import { unitRow, type Unit } from "../inventory/inventory.ts";
import type { UnitView } from "../schemas/unit-schema.ts";
import { unitView } from "../views/views.ts";
import type { RememberedAttachments } from "./attachments.ts";
import { removeFromCore } from "./forget-operations.ts";
import { whyNotOffered } from "./offering.ts";
import type { UnitConnections } from "./unit-connections.ts";

export interface MoveContext extends Context {
  readonly attachments: RememberedAttachments;
  readonly connections: UnitConnections;
  readonly leftovers: Pick<Leftovers, "holds">;
}

/** How long the commands of the first reactor may take to end before the unit stays where it is. */
const QUIET_MS_MAX = 5000;
const POLL_MS = 5;
const VERIFY_MS_MAX = 2000;

function refused(unit: Unit, what: string, remedy: string, parameter = `#${unit.number}`): ControlError {
  return new ControlError("BUSY", `LogicalUnit #${unit.number} cannot be moved now: ${what}`, { parameter, remedy });
}

/** The handle of a unit that may go to that reactor. */
function movable({ reactor: machine, attachments, leftovers }: MoveContext, unit: Unit, to: number): number {
  const { handle } = unit;
  if (to >= machine.reactors) {
    const last = machine.reactors - 1;
    const which = last === 0 ? "there is one reactor" : `the reactors are 0 to ${last}`;
    throw new ControlError("INVALID_REQUEST", `there is no reactor ${to}; ${which}`, {
      parameter: "reactor",
      remedy: "`reactors` in the configuration says how many there are",
    });
  }
  const why = whyNotOffered(unit);
  if (handle === null || why !== null) throw refused(unit, why ?? "it is gone", "`pathctl show` says more");
  const away = [to, reactorOf(handle)].find((reactor) => !machine.present.includes(reactor));
  if (away !== undefined) {
    throw new ControlError("UNAVAILABLE", `reactor ${away} does not answer`, {
      parameter: "reactor",
      remedy: "wait until it is back (messages 669 and 696)",
    });
  }
  if (leftovers.holds(unit)) {
    const what = "commands of an earlier daemon or reactor are still under way to it";
    throw refused(unit, what, "wait for message 633, which tells their end");
  }
  const bound = attachments.whyBound(unit);
  if (bound !== null) throw refused(unit, `${bound.device}: ${bound.what}`, bound.remedy, bound.device);
  return handle;
}

/** Paths of the unit on which a command for I/O is under way, or of which one is not settled. */
function busyPaths(unit: Unit, snapshot: Snapshot): string[] {
  return [...unit.paths.values()]
    .filter(({ handle }) => {
      const record = handle === null ? null : snapshot.path(handle);
      return record !== null && record.inFlight + record.orphans > 0;
    })
    .map(({ number }) => number);
}

/** Ends what the first reactor does for the unit. @throws ControlError BUSY when that takes too long */
async function quieten({ connections, snapshots }: MoveContext, unit: Unit, handle: number): Promise<Snapshot> {
  const end = performance.now() + QUIET_MS_MAX;
  for (;;) {
    await connections.close(unit.number);
    const snapshot = await snapshots.current();
    const record = snapshot.unit(handle);
    const paths = busyPaths(unit, snapshot);
    if (record === null) throw refused(unit, "its reactor has lost it", "try it again in a moment");
    if (record.connections + record.requests + record.orphans + paths.length === 0) return snapshot;
    if (performance.now() > end) {
      const where = paths.length === 0 ? "requests" : `commands on ${paths.join(", ")}`;
      throw refused(
        unit,
        `${where} have not ended within ${QUIET_MS_MAX / 1000} s`,
        "repair or remove a path that does not answer",
      );
    }
    await sleep(POLL_MS);
  }
}

/** What the second core is to know that only the first one does. */
function remembered(context: MoveContext, unit: Unit, handle: number, snapshot: Snapshot): () => Promise<void> {
  const isReleased = snapshot.isReleased(handle);
  const staysFailed = context.effective.mode.failback === "standby";
  const failed = [...unit.paths.values()].filter(
    (path) => staysFailed && path.handle !== null && snapshot.isFailed(path.handle),
  );
  return async () => {
    const released = isReleased && unit.handle !== null ? [unitSet(unit.handle, abi.UNIT_SET_RELEASED, 1)] : [];
    const down = failed.flatMap((path) => (path.handle === null ? [] : [pathSet(path.handle, abi.PATH_SET_FAILED, 1)]));
    await demand(context.reactor, [...released, ...down], `LogicalUnit #${unit.number}`);
  };
}

/** Brings the unit up on a reactor. Returns why that failed, or null. */
async function bringTo(
  { bringUp, effective }: MoveContext,
  unit: Unit,
  arrivals: readonly Arrival[],
  reactor: number,
): Promise<string | null> {
  bringUp.placement.want(unit, reactor);
  const missing = arrivals.filter(({ path }) => path.handle === null);
  const failures = await bringUp.add(missing, effective);
  await bringUp.completePolicies(missing, effective);
  return unit.handle === null ? (failures[0]?.reason ?? "it has no path") : null;
}

async function carry(context: MoveContext, unit: Unit, handle: number, to: number): Promise<number> {
  const { bringUp, snapshots } = context;
  const tell = remembered(context, unit, handle, await quieten(context, unit, handle));
  const beganMs = performance.now();
  const arrivals = await bringUp.lift(unit);
  await removeFromCore(context, handle);
  const why = await bringTo(context, unit, arrivals, to);
  if (why !== null) await bringTo(context, unit, arrivals, reactorOf(handle));
  context.offer();
  if (unit.handle === null) void context.rescan().catch(() => undefined);
  if (why !== null) throw refused(unit, `reactor ${to} does not take it: ${why}`, "raise what `limits` allows");
  await tell();
  await waitVerified(snapshots, [...unit.paths.values()], VERIFY_MS_MAX);
  return Math.round(performance.now() - beganMs);
}

/** Stores where the unit is to be after a restart. Returns how to take that back. @throws ControlError STATE_WRITE_FAILED */
function remember({ state }: MoveContext, unit: Unit, reactor: number): () => void {
  const before = unit.facts;
  const put = (facts: Unit["facts"]): void => {
    state.saveUnits([{ ...unitRow(unit), facts }]);
    unit.facts = facts;
  };
  if (before.reactor !== reactor) put({ ...before, reactor });
  return () => {
    if (unit.facts.reactor === before.reactor) return;
    const { reactor: _, ...facts } = unit.facts;
    put(before.reactor === undefined ? facts : { ...facts, reactor: before.reactor });
  };
}

/** POST /v1/units/:n/move. Asked for again, the unit stays where it is. */
export function moveUnit(context: MoveContext, key: string, to: number): Promise<UnitView> {
  return context.change(async () => {
    const unit = context.inventory.unit(key);
    const handle = movable(context, unit, to);
    const from = reactorOf(handle);
    const forget = remember(context, unit, to);
    if (from !== to) {
      const moving = context.connections.whileMoving(unit.number, () => carry(context, unit, handle, to));
      const ms = await moving.catch((thrown: unknown) => {
        if (unit.handle !== null && reactorOf(unit.handle) !== to) forget();
        throw thrown;
      });
      context.hub.say("unit-moved", { unit: unit.number, detail: { from, to, ms } });
    }
    await context.snapshots.current();
    return unitView(unit, context.views);
  });
}
