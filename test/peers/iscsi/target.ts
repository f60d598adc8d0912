// A small iSCSI target in front of an emulated array, for test suites of others: loopback only, one connection per session,
// no digests, no authentication. Each of the array's target ports has a target name.

import { once } from "node:events";
import { createServer, type Server } from "node:net";
import type { AddressInfo } from "node:net";
import type { EmulatedArray } from "../../../host/array/array.ts";
import { NexusTable } from "./nexus.ts";
import { type Portal, Session } from "./session.ts";

const LOOPBACK = "127.0.0.1";

export class IscsiTarget {
  readonly #server: Server;
  readonly #sessions = new Set<Session>();
  readonly #portal: Portal;
  /** The error that ended a session. */
  failure: Error | undefined = undefined;

  private constructor(server: Server, portal: Portal) {
    this.#server = server;
    this.#portal = portal;
    server.on("connection", (socket) => {
      const session = new Session(socket, portal, (error) => (this.failure ??= error));
      this.#sessions.add(session);
      socket.on("close", () => this.#sessions.delete(session));
    });
  }

  static async start(array: EmulatedArray): Promise<IscsiTarget> {
    const server = createServer();
    server.listen(0, LOOPBACK);
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const ports = 1 + Math.max(...array.ports.map(({ targetPort }) => targetPort));
    const targets = Array.from({ length: ports }, (_, i) => `iqn.2026-01.invalid.pathmanager:port${i}`);
    return new IscsiTarget(server, { nexuses: new NexusTable(array), targets, address: `${LOOPBACK}:${port}` });
  }

  /** The URL of the portal, for discovery. */
  get portal(): string {
    return `iscsi://${this.#portal.address}`;
  }

  /** The URL of a unit on one of the array's target ports, in libiscsi's form. */
  url(targetPort: number, lun = 0): string {
    return `iscsi://${this.#portal.address}/${this.#portal.targets[targetPort]}/${lun}`;
  }

  async stop(): Promise<void> {
    for (const session of this.#sessions) session.close();
    this.#server.close();
    await once(this.#server, "close");
  }
}
