// What is offered over NBD: every unit that the core has, under its number and its name.

import type { NbdExport } from "../../export/directory.ts";
import { ConnectionRoom } from "../../export/room.ts";
import type { NbdServer, NbdServerOptions } from "../../export/server.ts";
import type { ReactorClient } from "../../reactor/client.ts";
import { ControlError, reasonOf } from "../ground/errors.ts";
import type { Inventory, Unit } from "../inventory/inventory.ts";
import type { ConnectionLabel } from "../core/labels.ts";
import { parseListen, tcpRemedy } from "../ground/listen.ts";
import type { Configuration } from "../schemas/configuration.ts";
import type { NbdAccess } from "../tls/nbd-access.ts";

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
 * What is on offer. An empty name means the unit when there is one only, remembered ones included: a client that meant
 * another, which is gone for a while, would write over this one.
 */
export function exportsOf(inventory: Inventory): NbdExport[] {
  const isDefault = inventory.unitCount === 1;
  const entries = inventory.units().map(exportOf);
  return entries.filter((entry) => entry !== null).map((entry) => Object.assign(entry, { isDefault }));
}

/** The part of the connections that TCP clients leave to those of this machine and to the kernel's devices. */
const LOCAL_SHARE = 0.25;
/** The part of them that one user, or one address, may have; the part that is for root and those devices alone. */
const PEER_SHARE = 0.5;
const ROOT_SHARE = 0.125;

/** Who may have how many of the core's connections. */
export function roomOf({ connections, connections_per_peer: perPeer }: Configuration["limits"]): ConnectionRoom {
  return new ConnectionRoom({
    connections,
    remote: connections - Math.floor(connections * LOCAL_SHARE),
    perPeer: perPeer ?? Math.ceil(connections * PEER_SHARE),
    reserve: Math.floor(connections * ROOT_SHARE),
  });
}

/** How a client that has negotiated becomes a connection of the reactor. */
export function handTo(reactor: ReactorClient): NbdServerOptions["hand"] {
  return ({ descriptor, unit, flags, preloaded }, holder) =>
    reactor.addConnection(descriptor, unit, flags, preloaded, { ...holder, index: null } satisfies ConnectionLabel);
}

/** Listens on the Unix socket and, if configured, on TCP. Answers the TCP address in use, or null. */
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
