// What is offered over NBD: every unit that the core has, under its number and its name.

import type { NbdExport } from "../export/directory.ts";
import type { NbdServer } from "../export/server.ts";
import { ControlError, reasonOf } from "./errors.ts";
import type { Inventory } from "./inventory.ts";
import { parseListen } from "./listen.ts";
import type { Configuration } from "./schemas/configuration.ts";

export function exportsOf(inventory: Inventory): NbdExport[] {
  return inventory.units().flatMap((unit): NbdExport[] => {
    if (unit.handle === null || unit.facts.bytes === 0) return [];
    return [
      {
        unit: unit.handle,
        number: unit.number,
        ...(unit.name === `lu${unit.number}` ? {} : { name: unit.name }),
        identity: unit.identity.text,
        description: `${unit.facts.vendor} ${unit.facts.product} ${unit.identity.text}`.trim(),
        bytes: BigInt(unit.facts.bytes),
        blockBytes: unit.facts.blockBytes,
        capabilities: unit.capabilities,
        isDefault: unit.number === 0,
      },
    ];
  });
}

/** Listens on the Unix socket and, if configured, on TCP. Answers the TCP address in use, or null. */
export async function listenNbd(
  server: NbdServer,
  configuration: Configuration,
  path: string,
  group: number | null,
): Promise<string | null> {
  const { nbd_tcp: tcp } = configuration.sockets;
  try {
    await server.listen({ kind: "unix", path, ...(group === null ? {} : { group }) });
    if (tcp === undefined) return null;
    const bound = await server.listen({ kind: "tcp", ...parseListen(tcp) });
    return bound.kind === "tcp" ? `${tcp.slice(0, tcp.lastIndexOf(":"))}:${bound.port}` : null;
  } catch (thrown) {
    throw new ControlError("SOCKET", reasonOf(thrown), {
      parameter: tcp ?? path,
      remedy: "choose another address in sockets.nbd or sockets.nbd_tcp",
      cause: thrown,
    });
  }
}
