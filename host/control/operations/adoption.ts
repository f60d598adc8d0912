// How a control takes over from an earlier one: it keeps what the reactor has. I/O continues throughout, so nothing is removed
// and added again. The state file and the inventory catch up from the tables and the events.

import * as abi from "../../abi.ts";
import type { ConnectionRoom } from "../../export/connection-limit.ts";
import { decodeEvents, type CoreEvent, type ReactorClient } from "../../reactor/reactor-client.ts";
import type { Adoption } from "../../supervisor/protocol.ts";
import type { RememberedAttachments } from "./attachments.ts";
import type { BringUp } from "../devices/bring-up.ts";
import { reasonOf } from "../ground/control-errors.ts";
import { pathRow, type Inventory, type Path, type Unit } from "../inventory/inventory.ts";
import type { Keeper } from "../core/keeper.ts";
import { connectionLabel, pathLabel, unitLabel, type PathLabel, type UnitLabel } from "../core/labels.ts";
import type { Logger } from "../ground/logger.ts";
import { demand, pathSet } from "../core/reactor-port.ts";
import type { State } from "../state/state.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { removeFromCore } from "./forget-operations.ts";
import type { UnitConnections } from "./unit-connections.ts";

export interface AdoptionParts {
  readonly reactor: ReactorClient;
  readonly keeper: Keeper;
  readonly inventory: Inventory;
  readonly state: State;
  readonly bringUp: BringUp;
  readonly connections: UnitConnections;
  readonly room: ConnectionRoom;
  readonly attachments: RememberedAttachments;
  readonly logger: Logger;
}

/** The unit of a label: from the state file, or as it was when the core got it, where the file could not be written. */
function unitOf(inventory: Inventory, { row }: UnitLabel): Unit {
  const known = inventory
    .units()
    .find(({ number, identity }) => number === row.number || identity.text === row.identity);
  if (known !== undefined) return known;
  const identity = { type: row.facts.identityType, text: row.identity };
  const unit = inventory.addUnit({ ...row, identity });
  unit.isNoted = false;
  return unit;
}

function pathOf(inventory: Inventory, unit: Unit, { row }: PathLabel): Path {
  const known = unit.paths.get(row.id);
  return known ?? Object.assign(inventory.addPath(unit, row, row.id), { isMarginal: row.isMarginal });
}

/** Gives units and paths the handles they already have. */
function adoptRecords(
  { reactor, inventory, bringUp, logger }: AdoptionParts,
  adoption: Adoption,
  snapshot: Snapshot,
): Path[] {
  const units = new Map<number, Unit>();
  const served = new Set(adoption.paths.map(([handle]) => snapshot.path(handle)?.unit));
  for (const [handle, label] of adoption.units) {
    const known = unitLabel(label);
    const unit = unitOf(inventory, known);
    // One of two was left when the unit went to another reactor: it has no path, and goes with its last command.
    const left = unit.handle === null ? null : served.has(unit.handle) ? handle : unit.handle;
    if (left !== null) void removeFromCore({ reactor }, left);
    if (left === handle) continue;
    unit.capabilities = known.capabilities;
    units.set(handle, unit);
    inventory.setUnitHandle(unit, handle);
  }
  const paths: Path[] = [];
  for (const [handle, label] of adoption.paths) {
    const record = snapshot.path(handle);
    const unit = units.get(record?.unit ?? -1);
    if (record === null || unit === undefined) {
      logger.error(`path ${handle} of the core is none of a known unit`);
      continue;
    }
    const known = pathLabel(label);
    const path = pathOf(inventory, unit, known);
    inventory.setPathHandle(path, handle);
    path.found = known.found;
    if (path.goneSinceMs !== null) path.isNoted = false;
    path.goneSinceMs = null;
    bringUp.adopt(handle, known, record.depth);
    paths.push(path);
  }
  for (const [handle, label] of adoption.removedPaths) {
    const { native } = pathLabel(label);
    if (native !== null && adoption.ports.includes(native.port)) bringUp.adopt(handle, pathLabel(label), null);
  }
  return paths;
}

/** Ports that were opened for paths that were never added. */
async function closeStrayPorts({ reactor }: AdoptionParts, adoption: Adoption): Promise<void> {
  if (adoption.ports.length === 0) return;
  const labels = [...adoption.paths, ...adoption.removedPaths];
  const used = new Set(labels.map(([, label]) => pathLabel(label).native?.port));
  const stray = adoption.ports.filter((port) => !used.has(port));
  await Promise.all(stray.map((port) => reactor.closePort(port).catch(() => undefined)));
}

/** Claims of present paths stay; the others are released. */
async function adoptClaims({ bringUp, keeper }: AdoptionParts, adoption: Adoption, paths: Path[]): Promise<void> {
  const byDevice = new Map(paths.map((path) => [`/dev/${path.found?.blockDevice ?? ""}`, path]));
  for (const device of adoption.claims) {
    const path = byDevice.get(device);
    if (path === undefined) await keeper.release(device);
    else bringUp.adoptClaim(path, device.slice("/dev/".length), { close: () => keeper.release(device) });
  }
}

/**
 * Covers an earlier control that had written a change but not told the core, or the reverse: nobody was told that it was done. A
 * path to be disabled is disabled; for priorities, those that I/O runs by win.
 */
async function agree(
  { reactor, state, logger }: AdoptionParts,
  paths: readonly Path[],
  snapshot: Snapshot,
): Promise<void> {
  const other: Path[] = [];
  const disable: number[] = [];
  for (const path of paths) {
    const { handle } = path;
    const record = handle === null ? null : snapshot.path(handle);
    if (handle === null || record === null) continue;
    if (!path.enabled && !snapshot.isDisabled(handle)) disable.push(handle);
    if (path.priority === record.priority) continue;
    path.priority = record.priority;
    other.push(path);
  }
  await demand(
    reactor,
    disable.map((handle) => pathSet(handle, abi.PATH_SET_ENABLED, 0)),
    "disabling",
  );
  try {
    if (other.length > 0) state.savePaths(other.map(pathRow));
  } catch (thrown) {
    logger.warning(`priorities are not noted: ${reasonOf(thrown)}`);
  }
}

/** Takes over everything. Returns the events not reported yet; connections that closed are dealt with already. */
export async function adopt(parts: AdoptionParts, adoption: Adoption, snapshot: Snapshot): Promise<CoreEvent[]> {
  const paths = adoptRecords(parts, adoption, snapshot);
  await closeStrayPorts(parts, adoption);
  await adoptClaims(parts, adoption, paths);
  for (const [handle, label] of adoption.connections) {
    parts.room.adopt(handle, connectionLabel(label));
    parts.connections.adopt(handle, label);
  }
  await parts.attachments.adopt(adoption.connections);
  await agree(parts, paths, snapshot);
  const events = adoption.events.flatMap(({ reactor, entries }) => decodeEvents(entries, reactor));
  return events.filter(({ kind }) => kind !== abi.EVENT_CONNECTION_CLOSED);
}
