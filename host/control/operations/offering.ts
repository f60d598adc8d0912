// What is offered over NBD: every unit the core has, under its number and its name.

import type { NbdExport } from "../../export/directory.ts";
import { ConnectionRoom } from "../../export/connection-limit.ts";
import type { NbdServer, NbdServerOptions } from "../../export/server.ts";
import { ControlError, reasonOf } from "../ground/control-errors.ts";
import type { Inventory, Unit } from "../inventory/inventory.ts";
import { parseListen, tcpRemedy } from "../ground/listen.ts";
import type { Configuration } from "../schemas/configuration-schema.ts";
import type { NbdAccess } from "../tls/nbd-access.ts";
import type { UnitConnections } from "./unit-connections.ts";

/** Why a unit is not offered, with what to do; null when it is. */
export function whyNotOffered({ handle, facts, inUse }: Unit): string | null {
  if (inUse !== null) return `it is in use elsewhere: ${inUse}`;
  return handle === null || facts.bytes === 0 ? "none of its paths was ever there; connect a path of it" : null;
}

/** The export of a unit; null when the core does not have it. */
export function exportOf(unit: Unit): NbdExport | null {
  const { handle, facts, number, name, identity, capabilities } = unit;
  if (whyNotOffered(unit) !== null || handle === null) return null;
  return {
    unit: handle,
    number,
    ...(name === `lu${number}` ? {} : { name }),
    identity: identity.text,
    ...(facts.formerIdentity === undefined ? {} : { formerIdentity: facts.formerIdentity }),
    description: `${facts.vendor} ${facts.product} ${identity.text}`.trim(),
    bytes: BigInt(facts.bytes),
    blockBytes: facts.blockBytes,
    capabilities,
  };
}

/**
 * The current exports. The empty name means the only unit, remembered units included: a client that meant another unit, which is
 * gone for a while, would otherwise overwrite this one.
 */
export function exportsOf(inventory: Inventory): NbdExport[] {
  const isDefault = inventory.unitCount === 1;
  const entries = inventory.units().map(exportOf);
  return entries.filter((entry) => entry !== null).map((entry) => Object.assign(entry, { isDefault }));
}

/** The share of connections that TCP clients leave to local clients and to the kernel's devices. */
const LOCAL_SHARE = 0.25;
/** The share that one user, or one address, may have; the share reserved for root and the kernel's devices. */
const PEER_SHARE = 0.5;
const ROOT_SHARE = 0.125;

/** How the core's connections are shared out. */
export function roomOf({ connections, connections_per_peer: perPeer }: Configuration["limits"]): ConnectionRoom {
  return new ConnectionRoom({
    connections,
    remote: connections - Math.floor(connections * LOCAL_SHARE),
    perPeer: perPeer ?? Math.ceil(connections * PEER_SHARE),
    reserve: Math.floor(connections * ROOT_SHARE),
  });
}

/** Turns a client that has finished negotiating into a connection of the reactor. */
export function handTo(connections: Pick<UnitConnections, "add">): NbdServerOptions["hand"] {
  return ({ descriptor, number, flags, preloaded }, holder) =>
    connections.add(descriptor, number, flags, preloaded, { ...holder, index: null });
}

/** Listens on the Unix socket and, if configured, on TCP. Returns the TCP address in use, or null. */
export async function listenNbd(
  server: NbdServer,
  nbdAccess: NbdAccess | null,
  path: string,
  group: number | null,
): Promise<string | null> {
  const tcp = nbdAccess?.listen;
  try {
    await server.listen({ kind: "unix", path, ...(group === null ? {} : { group }) });
    if (nbdAccess === null || tcp === undefined) return null;
    const bound = await server.listen({ kind: "tcp", ...parseListen(tcp), access: nbdAccess.access });
    return bound.kind === "tcp" ? `${tcp.slice(0, tcp.lastIndexOf(":"))}:${bound.port}` : null;
  } catch (thrown) {
    throw new ControlError("SOCKET", reasonOf(thrown), {
      parameter: tcp ?? path,
      remedy: tcpRemedy(thrown, "sockets.nbd or sockets.nbd_tcp.listen"),
      cause: thrown,
    });
  }
}
